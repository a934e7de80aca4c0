package temporald

import (
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/primitives"
)

const (
	clusterName = "active"
	// historyShards is fixed for the life of a data directory. Each shard is a
	// lock and a set of queues; a few are enough for one machine.
	historyShards = 4
	// unlimited stands for limits that protect a shared cluster from its
	// tenants. Here there is one.
	unlimited = 1_000_000
)

func (o Options) serverConfig(p ports) *config.Config {
	main, visibility := o.databases()
	cfg := &config.Config{
		Persistence: config.Persistence{
			DefaultStore: main.name, VisibilityStore: visibility.name, NumHistoryShards: historyShards,
			DataStores: map[string]config.DataStore{
				main.name:       {SQL: o.sqlConfig(main.name, mainConns)},
				visibility.name: {SQL: o.sqlConfig(visibility.name, visibilityConns)},
			},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: clusterName, CurrentClusterName: clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{clusterName: {
				Enabled: true, InitialFailoverVersion: 1, RPCAddress: p.address(primitives.FrontendService),
			}},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            map[string]config.Service{},
		PublicClient:        config.PublicClient{HostPort: p.address(primitives.FrontendService)},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
	}
	cfg.Global.Membership = config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: loopback}
	for service, port := range p {
		cfg.Services[string(service)] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnLocalHost: true}}
	}
	return cfg
}

// dynamicSettings are chosen for one hub on one machine.
func dynamicSettings() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		// A new namespace or search attribute (on SQL a name in the namespace)
		// is seen soon. Forcing a refresh on each read would cost a dozen
		// queries for every workflow, one after the other.
		dynamicconfig.NamespaceCacheRefreshInterval.Key(): time.Second,
		// A task in flight when the process is killed is given out again after its
		// timeout, which grows with every such death; from minutes to this.
		dynamicconfig.WorkflowTaskRetryMaxInterval.Key(): 5 * time.Second,
		// The first workflow task and activities travel in the answer.
		dynamicconfig.EnableEagerWorkflowStart.Key():     true,
		dynamicconfig.EnableActivityEagerExecution.Key(): true,
		// One partition: a task never looks for its poller.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,

		// The list of workflows may lag a quarter of a second behind: most
		// messages are answered by then, and written into it once, not twice.
		dynamicconfig.VisibilityProcessorMaxPollRPS.Key(): 4,

		dynamicconfig.FrontendRPS.Key():                                                        unlimited,
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key():                                 unlimited,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key():                       unlimited,
		dynamicconfig.FrontendMaxConcurrentLongRunningRequestsPerInstance.Key():                unlimited,
		dynamicconfig.FrontendMaxNamespaceNamespaceReplicationInducingAPIsRPSPerInstance.Key(): unlimited,
		dynamicconfig.FrontendGlobalNamespaceNamespaceReplicationInducingAPIsRPS.Key():         unlimited,
		dynamicconfig.HistoryRPS.Key():                                                         unlimited,
		dynamicconfig.MatchingRPS.Key():                                                        unlimited,
		dynamicconfig.FrontendPersistenceMaxQPS.Key():                                          unlimited,
		dynamicconfig.HistoryPersistenceMaxQPS.Key():                                           unlimited,
		dynamicconfig.MatchingPersistenceMaxQPS.Key():                                          unlimited,
		dynamicconfig.WorkerPersistenceMaxQPS.Key():                                            unlimited,
		dynamicconfig.VisibilityPersistenceMaxReadQPS.Key():                                    unlimited,
		dynamicconfig.VisibilityPersistenceMaxWriteQPS.Key():                                   unlimited,

		// Scanners search large shared clusters for damage; here they would
		// only compete with messages. The task queue scanner stays: it deletes
		// expired rows.
		dynamicconfig.HistoryScannerEnabled.Key():    false,
		dynamicconfig.ExecutionsScannerEnabled.Key(): false,
		dynamicconfig.BuildIdScavengerEnabled.Key():  false,
	}
}
