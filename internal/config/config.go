package config

// Config is the effective configuration. Tags of each field:
//
//	env      the variable
//	default  used when it is unset; empty means none
//	doc      one sentence for docs/config.md
//	section  begins a section of docs/config.md
//	secret   "true": printed masked; "url": printed without its password
//	kind     what the value must be; see checks in validate.go
type Config struct {
	Host          string `env:"OMNI_HOST" default:"127.0.0.1" kind:"host" section:"The hub" doc:"Address the API listens on."`
	Port          int    `env:"OMNI_PORT" default:"8881" kind:"port" doc:"Port of the API, the chat pages and the dashboard; 0 takes a free one."`
	HealthPort    int    `env:"OMNI_HEALTH_PORT" default:"0" kind:"port" doc:"Port, on OMNI_HOST, at which omni serve without role api answers /healthz, /readyz and /metrics; 0: none."`
	APIKey        string `env:"OMNI_API_KEY" secret:"true" kind:"key" doc:"The bootstrap API key, any string of 16 or more characters; it has scope admin. Unset, omni up makes one, prints it once and keeps it in the data directory."`
	DataDir       string `env:"OMNI_DATA_DIR" default:"./data" kind:"path" doc:"Folder of everything the embedded stack writes, and of attachments."`
	EncryptionKey string `env:"OMNI_ENCRYPTION_KEY" secret:"true" kind:"base64-32" doc:"32 bytes in base64 that encrypt stored credentials. Unset, omni up makes one and keeps it in the data directory; omni serve requires it."`
	PublicURL     string `env:"OMNI_PUBLIC_URL" kind:"http-url" doc:"Where people and platforms reach the hub, for webhook and chat page links. Unset: the API's own address."`
	APIURL        string `env:"OMNI_API_URL" kind:"http-url" doc:"Where the commands of the CLI reach the API. Unset: OMNI_HOST and OMNI_PORT."`
	LogLevel      string `env:"OMNI_LOG_LEVEL" default:"info" kind:"one-of:debug,info,warn,error" doc:"Least level that is logged: debug, info, warn or error."`
	LogFormat     string `env:"OMNI_LOG_FORMAT" default:"auto" kind:"one-of:auto,text,json" doc:"How log lines look: text, json, or auto (text on a terminal)."`

	DatabaseURL       string `env:"DATABASE_URL" secret:"url" kind:"postgres-url" section:"The stack: embedded, or set one and that part is external" doc:"Postgres to use instead of the embedded one."`
	NATSURL           string `env:"NATS_URL" secret:"url" kind:"nats-url" doc:"NATS server with JetStream to use instead of the embedded one; several are separated by commas."`
	TemporalAddress   string `env:"TEMPORAL_ADDRESS" kind:"address" doc:"Temporal frontend (host:port) to use instead of the embedded one."`
	TemporalNamespace string `env:"TEMPORAL_NAMESPACE" default:"default" kind:"name" doc:"Temporal namespace of Omni's workflows; made if it is not there."`
	TemporalUIPort    int    `env:"OMNI_TEMPORAL_UI_PORT" default:"8233" kind:"port" doc:"Loopback port of the embedded Temporal's web UI; 0 takes a free one."`
	TemporalPort      int    `env:"OMNI_TEMPORAL_PORT" default:"0" kind:"port" doc:"Loopback port of the embedded Temporal; 0 takes a free one."`
	NATSPort          int    `env:"OMNI_NATS_PORT" default:"0" kind:"port" doc:"Loopback port of the embedded NATS, open to other local programs; 0 takes a free one that is closed to them."`

	TrustedProxies       []string `env:"OMNI_TRUSTED_PROXIES" kind:"cidrs" section:"Safety" doc:"Comma list of CIDRs and addresses of the reverse proxies in front of the hub: from them, the client's address is the nearest one in X-Forwarded-For that is none of theirs. Unset: the header is not looked at."`
	AllowPrivateNetworks []string `env:"OMNI_ALLOW_PRIVATE_NETWORKS" kind:"networks" doc:"Comma list of hosts and CIDRs that outgoing calls may reach although they are private; loopback is refused unless listed."`

	GroqAPIKey       string `env:"GROQ_API_KEY" secret:"true" section:"AI services" doc:"Key for Groq."`
	GroqBaseURL      string `env:"GROQ_BASE_URL" default:"https://api.groq.com/openai/v1" kind:"http-url" doc:"Groq's API, up to /v1."`
	OpenAIAPIKey     string `env:"OPENAI_API_KEY" secret:"true" doc:"Key for OpenAI."`
	OpenAIBaseURL    string `env:"OPENAI_BASE_URL" default:"https://api.openai.com/v1" kind:"http-url" doc:"OpenAI's API, up to /v1."`
	GeminiAPIKey     string `env:"GEMINI_API_KEY" secret:"true" doc:"Key for Gemini."`
	GeminiBaseURL    string `env:"GEMINI_BASE_URL" default:"https://generativelanguage.googleapis.com" kind:"http-url" doc:"Gemini's API."`
	AnthropicAPIKey  string `env:"ANTHROPIC_API_KEY" secret:"true" doc:"Key for Anthropic."`
	AnthropicBaseURL string `env:"ANTHROPIC_BASE_URL" default:"https://api.anthropic.com" kind:"http-url" doc:"Anthropic's API."`

	SlackClientID          string `env:"SLACK_CLIENT_ID" section:"Platforms" doc:"Client id of the Slack app, for installation over OAuth."`
	SlackClientSecret      string `env:"SLACK_CLIENT_SECRET" secret:"true" doc:"Client secret of the Slack app."`
	WhatsAppCloudAppID     string `env:"WHATSAPP_CLOUD_APP_ID" doc:"App id of the WhatsApp Cloud API."`
	WhatsAppCloudAppSecret string `env:"WHATSAPP_CLOUD_APP_SECRET" secret:"true" doc:"App secret of the WhatsApp Cloud API."`

	OTLPEndpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT" kind:"http-url" section:"Telemetry" doc:"OpenTelemetry collector (OTLP over HTTP) that traces go to; unset: none."`

	// origins tells of each variable where its value came from.
	origins map[string]string
}
