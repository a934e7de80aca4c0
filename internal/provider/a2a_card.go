package provider

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"

	"github.com/omnihub/omni/internal/omni"
)

// cardPath is where agents publish what they are, below their address.
const cardPath = "/.well-known/agent-card.json"

const (
	cardFor    = 5 * time.Minute  // how long a card is believed
	cardWithin = 10 * time.Second // how long reading one may take
	cardsMost  = 1000
)

// a2aPeer is how an agent is reached.
type a2aPeer struct {
	url       *url.URL
	tenant    string
	rest      bool   // HTTP+JSON, not JSON-RPC
	keyHeader string // carries the key; "": as a bearer token
	streams   bool   // it can tell its answer while it makes it
}

func (p a2aPeer) transport(client *http.Client) a2aclient.Transport {
	if p.rest {
		return a2aclient.NewRESTTransport(p.url, client)
	}
	return a2aclient.NewJSONRPCTransport(p.url.String(), client)
}

// cardShelf remembers how agents are reached.
type cardShelf struct {
	mu    sync.Mutex
	peers map[string]shelved
}

type shelved struct {
	peer  a2aPeer
	until time.Time
}

func (s *cardShelf) get(apiURL string) (a2aPeer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.peers[apiURL]
	return found.peer, ok && time.Now().Before(found.until)
}

func (s *cardShelf) put(apiURL string, p a2aPeer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers == nil || len(s.peers) >= cardsMost {
		s.peers = map[string]shelved{}
	}
	s.peers[apiURL] = shelved{p, time.Now().Add(cardFor)}
}

// peer finds out how the agent is reached: by the card below apiUrl (or at it,
// where it ends in .json), else apiUrl itself takes JSON-RPC.
func (a *agent2agent) peer(ctx context.Context, req omni.AgentRequest) (a2aPeer, error) {
	apiURL := req.Config.APIURL
	if p, ok := a.cards.get(apiURL); ok {
		return p, nil
	}
	base, err := url.Parse(apiURL)
	if err != nil || base.Host == "" {
		return a2aPeer{}, &omni.AgentError{Kind: omni.AgentBadRequest, Reason: "apiUrl is no URL"}
	}
	at := *base
	if !strings.HasSuffix(base.Path, ".json") {
		at.Path = strings.TrimRight(base.Path, "/") + cardPath
	}
	card, err := a.card(ctx, req, at.String())
	if err != nil {
		return a2aPeer{}, err
	}
	peer := a2aPeer{url: base}
	if card != nil {
		if peer, err = choosePeer(card, base, req.APIKey != ""); err != nil {
			return a2aPeer{}, err
		}
	}
	a.cards.put(apiURL, peer)
	return peer, nil
}

// card reads a card, without showing the key. Nil: there is none.
func (a *agent2agent) card(ctx context.Context, req omni.AgentRequest, at string) (*a2a.AgentCard, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cardWithin, errors.New("reading the agent card took too long"))
	defer cancel()
	x := &exchange{}
	body, err := x.post(ctx, a.deps.HTTP, plainCall{method: http.MethodGet, url: at, turn: req.TurnID, secrets: []string{req.APIKey}})
	switch {
	case err == nil:
		var card a2a.AgentCard
		if json.Unmarshal(body, &card) != nil || len(card.SupportedInterfaces) == 0 {
			return nil, nil //nolint:nilnil // something else lives there
		}
		return &card, nil
	case x.status >= http.StatusMultipleChoices && x.status < http.StatusInternalServerError && x.status != http.StatusTooManyRequests:
		return nil, nil //nolint:nilnil // as said
	default:
		return nil, err
	}
}

// choosePeer picks the interface to use: JSON-RPC before HTTP+JSON, of
// version 1. A key is shown only to the address that it was given for.
func choosePeer(card *a2a.AgentCard, base *url.URL, keyed bool) (a2aPeer, error) {
	refuse := func(reason string) (a2aPeer, error) {
		return a2aPeer{}, &omni.AgentError{Kind: omni.AgentBadRequest, Reason: "the agent card " + reason}
	}
	foreign := false
	for _, binding := range []a2a.TransportProtocol{a2a.TransportProtocolJSONRPC, a2a.TransportProtocolHTTPJSON} {
		for _, i := range card.SupportedInterfaces {
			if i == nil || i.ProtocolBinding != binding || !strings.HasPrefix(string(i.ProtocolVersion), "1.") {
				continue
			}
			u, err := url.Parse(i.URL)
			if err != nil {
				continue
			}
			u = base.ResolveReference(u)
			if keyed && (u.Scheme != base.Scheme || !strings.EqualFold(u.Host, base.Host)) {
				foreign = true
				continue
			}
			return a2aPeer{url: u, tenant: i.Tenant, rest: binding == a2a.TransportProtocolHTTPJSON, keyHeader: keyHeader(card),
				streams: card.Capabilities.Streaming}, nil
		}
	}
	if foreign {
		return refuse("names another address, and the key is shown to no other than apiUrl's: set apiUrl to that address")
	}
	return refuse("offers neither JSON-RPC nor HTTP+JSON of protocol version 1")
}

// keyHeader is the header that an agent wants its key in, "" for a bearer token.
func keyHeader(card *a2a.AgentCard) string {
	name := ""
	for _, scheme := range card.SecuritySchemes {
		switch s := scheme.(type) {
		case a2a.APIKeySecurityScheme:
			if s.Location == a2a.APIKeySecuritySchemeLocationHeader && s.Name != "" {
				name = s.Name
			}
		default: // all others take a token
			return ""
		}
	}
	return name
}
