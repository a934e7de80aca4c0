package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

const (
	pollTimeout = 50 * time.Second
	pollLimit   = 100
	offsetKey   = "telegram.offset"
	// After a week without updates Telegram may begin to count elsewhere: an
	// offset older than that could be ahead of everything to come.
	offsetValidFor = 6 * 24 * time.Hour
)

// allowedUpdates are asked for by name: reactions come only so.
var allowedUpdates = []string{models.AllowedUpdateMessage, models.AllowedUpdateEditedMessage, models.AllowedUpdateMessageReaction,
	models.AllowedUpdateCallbackQuery}

// offset is the next update wanted, as it is kept between runs.
type offset struct {
	Bot  int64     `json:"bot"`
	Next int64     `json:"next"`
	At   time.Time `json:"at"`
}

// value is what getUpdates is given; 0 asks for everything unconfirmed.
func (o *offset) value(now time.Time) int64 {
	if now.Sub(o.At) > offsetValidFor {
		return 0
	}
	return o.Next
}

// advance moves behind an update. An old update that comes once more does not
// move it back; a count that began anew does.
func (o *offset) advance(bot, id int64, now time.Time) {
	if next := id + 1; next > o.Next || o.value(now) == 0 {
		o.Next = next
	}
	o.Bot, o.At = bot, now
}

// poll receives until ctx ends. An update is confirmed, by asking for the next
// one, only after it was stored.
func (s *session) poll(ctx context.Context) {
	o := s.loadOffset(ctx)
	var wait backoff
	failing := false
	for ctx.Err() == nil {
		patience := pollTimeout
		if failing {
			patience = 0 // whether it works again is to be known at once
		}
		raw, err := s.getUpdates(ctx, o.value(time.Now()), patience)
		if err != nil {
			failing = true
			s.recoverPolling(ctx, err, &wait)
			continue
		}
		if failing {
			failing = false
			s.report(channels.StatusActive, "")
		}
		before := o
		err = s.storeAll(ctx, raw, &o)
		if o != before {
			s.saveOffset(ctx, o)
		}
		if err != nil {
			failing = true
			s.failed(ctx, "storing an update", err, &wait)
			continue
		}
		wait.reset()
	}
}

// recoverPolling waits after a failure. A conflict may be a webhook that
// somebody set meanwhile: this instance is configured to poll.
func (s *session) recoverPolling(ctx context.Context, err error, wait *backoff) {
	s.failed(ctx, "receiving from Telegram", err, wait)
	var refused *apiError
	if ctx.Err() == nil && errors.As(err, &refused) && refused.code == 409 {
		callCtx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		if _, err := s.api.bot.DeleteWebhook(callCtx, &bot.DeleteWebhookParams{}); err != nil {
			s.deps.Log.Warn("telegram", "doing", "removing the webhook", "error", s.api.reason(err))
		}
	}
}

func (s *session) getUpdates(ctx context.Context, from int64, patience time.Duration) ([]json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, patience+15*time.Second)
	defer cancel()
	params := map[string]any{"timeout": int(patience.Seconds()), "limit": pollLimit, "allowed_updates": allowedUpdates}
	if from > 0 {
		params["offset"] = from
	}
	var raw []json.RawMessage
	if err := s.api.call(ctx, "getUpdates", params, &raw); err != nil {
		return nil, err
	}
	return raw, nil
}

// storeAll publishes updates in order and moves the offset behind each one
// that is stored. It stops at the first that is not.
func (s *session) storeAll(ctx context.Context, updates []json.RawMessage, o *offset) error {
	for _, raw := range updates {
		id, events, err := safeConvert(raw, *s.me.Load(), time.Now())
		if err != nil && id == 0 {
			return err // nothing to go past it by: this is no Bot API
		}
		if err != nil {
			// It would come again for ever and hold back all others.
			s.deps.Log.Error("telegram: skipping an update that cannot be read", "error", err, "update_id", id)
		}
		for _, in := range events {
			if _, err := s.sink.Publish(ctx, in, raw); err != nil {
				return err
			}
			s.answerPress(ctx, in)
		}
		o.advance(s.cfg.botID(), id, time.Now())
	}
	return nil
}

// safeConvert also survives what the library's types do not, and dates what
// Telegram does not: buttons that are pressed.
func safeConvert(raw []byte, me account, now time.Time) (id int64, events []message.Inbound, err error) {
	defer func() {
		for i := range events {
			if events[i].Timestamp.IsZero() {
				events[i].Timestamp = now.UTC()
			}
		}
	}()
	defer func() {
		if p := recover(); p != nil {
			var head struct {
				ID int64 `json:"update_id"`
			}
			_ = json.Unmarshal(raw, &head) // 0 if not even that can be read
			id, events, err = head.ID, nil, fmt.Errorf("converting update %d: panic: %v", head.ID, p)
		}
	}()
	return convert(raw, me)
}

func (s *session) loadOffset(ctx context.Context) offset {
	var o offset
	if s.deps.KV == nil {
		return o
	}
	raw, err := s.deps.KV.Get(ctx, offsetKey)
	if err == nil && raw != nil {
		err = json.Unmarshal(raw, &o)
	}
	if err != nil {
		// Without it Telegram sends everything unconfirmed, and duplicates are known by their keys.
		s.deps.Log.Warn("telegram", "doing", "reading the offset", "error", err)
	}
	if err != nil || o.Bot != s.cfg.botID() {
		return offset{}
	}
	return o
}

func (s *session) saveOffset(ctx context.Context, o offset) {
	if s.deps.KV == nil {
		return
	}
	raw, err := json.Marshal(o)
	if err == nil {
		err = s.deps.KV.Put(ctx, offsetKey, raw)
	}
	if err != nil && ctx.Err() == nil {
		s.deps.Log.Warn("telegram", "doing", "keeping the offset", "error", err)
	}
}
