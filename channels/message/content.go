package message

// ContentType names the shape of a Content.
type ContentType string

// The content types a message may have.
const (
	TypeText     ContentType = "text"
	TypeImage    ContentType = "image"
	TypeAudio    ContentType = "audio"
	TypeVideo    ContentType = "video"
	TypeDocument ContentType = "document"
	TypeSticker  ContentType = "sticker"
	TypeLocation ContentType = "location"
	TypeContact  ContentType = "contact"
	TypePoll     ContentType = "poll"
	TypeReaction ContentType = "reaction"
	TypeButtons  ContentType = "buttons"
)

// ContentTypes lists every content type, in documentation order.
func ContentTypes() []ContentType {
	return []ContentType{TypeText, TypeImage, TypeAudio, TypeVideo, TypeDocument, TypeSticker,
		TypeLocation, TypeContact, TypePoll, TypeReaction, TypeButtons}
}

// Content is what a message says. Text is the body, or the caption of media.
// Buttons are those offered; of what comes in, the one that was pressed, and
// Text is what it says.
type Content struct {
	Type     ContentType `json:"type,omitempty"`
	Text     string      `json:"text,omitempty"`
	Media    []Media     `json:"media,omitempty"`
	Reaction *Reaction   `json:"reaction,omitempty"`
	Location *Location   `json:"location,omitempty"`
	Contact  *Contact    `json:"contact,omitempty"`
	Poll     *Poll       `json:"poll,omitempty"`
	Buttons  []Button    `json:"buttons,omitempty"`
}

// Media is one attachment: where its bytes are, never the bytes themselves.
type Media struct {
	ID       string      `json:"id,omitempty"` // of the bytes at the hub, once it has fetched them; channels leave it empty
	Type     ContentType `json:"type"`
	URL      string      `json:"url,omitempty"`
	MimeType string      `json:"mimeType,omitempty"`
	Filename string      `json:"filename,omitempty"`
	Size     int64       `json:"size,omitempty"` // bytes, 0 if unknown
	Ref      string      `json:"ref,omitempty"`  // the channel's own handle where there is no URL (Telegram file_id)

	// What the hub made of the bytes; channels leave these empty. They are told
	// as what they are, never as what somebody typed.
	Transcript    string `json:"transcript,omitempty"`    // what is said in it, word by word
	Description   string `json:"description,omitempty"`   // what is to be seen in it, in a model's words
	ExtractedText string `json:"extractedText,omitempty"` // what is written in it
}

// Reaction is one emoji put on, or (Removed) taken off, a message.
type Reaction struct {
	Emoji   string `json:"emoji"`
	Removed bool   `json:"removed,omitempty"`
}

// Location is a point on the map, in degrees.
type Location struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Name      string  `json:"name,omitempty"`
}

// Contact is a shared address-book entry.
type Contact struct {
	Name  string `json:"name"`
	Phone string `json:"phone,omitempty"`
}

// Poll is a question with options.
type Poll struct {
	Question string   `json:"question"`
	Options  []string `json:"options"`
	Multiple bool     `json:"multiple,omitempty"`
}

// Button is one quick reply offered under a message.
type Button struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}
