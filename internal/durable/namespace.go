package durable

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/omnihub/omni/workflows"
)

const (
	// retention is how long a closed workflow can be looked at. The lasting
	// record is the event log.
	retention        = 7 * 24 * time.Hour
	namespaceTimeout = 30 * time.Second
	namespacePoll    = 100 * time.Millisecond
)

// searchAttributes are what workflows are found by; all are keywords.
func searchAttributes() []string {
	return []string{
		workflows.AttrInstance.GetName(), workflows.AttrChannel.GetName(), workflows.AttrChat.GetName(),
		workflows.AttrPerson.GetName(), workflows.AttrExternalID.GetName(), workflows.AttrTurn.GetName(),
		workflows.AttrOutcome.GetName(),
	}
}

// EnsureNamespace makes the namespace and its search attributes where they are
// missing, and returns when the server knows them. Where nothing is missing it
// costs two reads.
func EnsureNamespace(ctx context.Context, c client.Client, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, namespaceTimeout)
	defer cancel()
	_, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	var missing *serviceerror.NamespaceNotFound
	switch {
	case err == nil:
	case errors.As(err, &missing):
		if err := registerNamespace(ctx, c, namespace); err != nil {
			return err
		}
	default:
		return fmt.Errorf("looking for Temporal namespace %s: %w", namespace, err)
	}
	return ensureAttributes(ctx, c, namespace)
}

// ensureAttributes tries again where the server says that it could not: changes
// of namespaces exclude each other, all over the server, and the second of two
// hubs that start at once is refused.
func ensureAttributes(ctx context.Context, c client.Client, namespace string) error {
	for {
		absent, err := absentAttributes(ctx, c, namespace)
		if err != nil || len(absent) == 0 {
			return err
		}
		_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
			Namespace: namespace, SearchAttributes: absent,
		})
		var exists *serviceerror.AlreadyExists
		if err == nil || errors.As(err, &exists) {
			return awaitAttributes(ctx, c, namespace)
		}
		var refused *serviceerror.Unavailable
		if !errors.As(err, &refused) || pause(ctx) != nil {
			return fmt.Errorf("adding search attributes to Temporal namespace %s: %w", namespace, err)
		}
	}
}

func registerNamespace(ctx context.Context, c client.Client, namespace string) error {
	_, err := c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: namespace, Description: "Omni",
		WorkflowExecutionRetentionPeriod: durationpb.New(retention),
	})
	var exists *serviceerror.NamespaceAlreadyExists
	if err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("registering Temporal namespace %s: %w", namespace, err)
	}
	return nil
}

// absentAttributes asks until the server, which caches namespaces, knows ours.
func absentAttributes(ctx context.Context, c client.Client, namespace string) (map[string]enumspb.IndexedValueType, error) {
	for {
		list, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
		if err == nil {
			absent := map[string]enumspb.IndexedValueType{}
			for _, name := range searchAttributes() {
				if _, known := list.GetCustomAttributes()[name]; !known {
					absent[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
				}
			}
			return absent, nil
		}
		if _, missing := errors.AsType[*serviceerror.NamespaceNotFound](err); !missing {
			return nil, fmt.Errorf("listing search attributes of Temporal namespace %s: %w", namespace, err)
		}
		if err := pause(ctx); err != nil {
			return nil, fmt.Errorf("waiting for Temporal namespace %s: %w", namespace, err)
		}
	}
}

// awaitAttributes asks the part of the server that workflows are started
// through, which learns of attributes last.
func awaitAttributes(ctx context.Context, c client.Client, namespace string) error {
	for {
		_, err := c.WorkflowService().CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: namespace, Query: fmt.Sprintf("%s = 'none' OR %s = 'none'", workflows.AttrInstance.GetName(), workflows.AttrOutcome.GetName()),
		})
		if err == nil {
			return nil
		}
		if pauseErr := pause(ctx); pauseErr != nil {
			return fmt.Errorf("waiting for search attributes of Temporal namespace %s: %w", namespace, err)
		}
	}
}

func pause(ctx context.Context) error {
	select {
	case <-time.After(namespacePoll):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
