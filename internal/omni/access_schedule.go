package omni

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the binary runs on machines that have no zones of their own
)

// Schedule is when a rule applies: on these days, between two times of the
// clock on the wall, there. A window whose end is before its begin goes on into
// the next day. Where the clock is put forward, times that it skips never come;
// where it is put back, times that come twice count twice.
type Schedule struct {
	TimeZone string   `json:"timeZone,omitempty" doc:"of the IANA database; UTC if absent" example:"America/Sao_Paulo"`
	Days     []string `json:"days,omitempty" doc:"on which the window begins: mon tue wed thu fri sat sun; absent: every day" example:"[\"mon\"]"`
	From     string   `json:"from,omitempty" doc:"HH:MM" example:"09:00"`
	To       string   `json:"to,omitempty" doc:"HH:MM, exclusive; 24:00 is the end of the day" example:"18:00"`
}

// Days are the names of the days in a schedule, in the order of time.Weekday.
func Days() []string { return []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} }

const minutesOfDay = 24 * 60

// Contains reports whether the schedule applies at a moment.
func (s *Schedule) Contains(at time.Time) (bool, error) {
	zone, err := s.Zone()
	if err != nil {
		return false, err
	}
	from, to, err := s.Window()
	if err != nil {
		return false, err
	}
	local := at.In(zone)
	now := local.Hour()*60 + local.Minute()
	if from < to {
		return s.on(local.Weekday()) && from <= now && now < to, nil
	}
	return s.on(local.Weekday()) && from <= now || s.on((local.Weekday()+6)%7) && now < to, nil
}

func (s *Schedule) on(d time.Weekday) bool {
	return len(s.Days) == 0 || slices.Contains(s.Days, Days()[d])
}

// Zone is the schedule's time zone.
func (s *Schedule) Zone() (*time.Location, error) {
	if s.TimeZone == "" {
		return time.UTC, nil
	}
	if strings.EqualFold(s.TimeZone, "local") { // where the hub happens to run
		return nil, fmt.Errorf("unknown time zone %s", s.TimeZone)
	}
	return time.LoadLocation(s.TimeZone)
}

// Window is from and to in minutes since midnight; the whole day where neither
// is given.
func (s *Schedule) Window() (from, to int, err error) {
	if s.From == "" && s.To == "" {
		return 0, minutesOfDay, nil
	}
	if from, err = ParseClock(s.From); err != nil {
		return 0, 0, err
	}
	to, err = ParseClock(s.To)
	return from, to, err
}

var errClock = errors.New("must be a time of day, HH:MM")

// ParseClock reads HH:MM as minutes since midnight.
func ParseClock(s string) (int, error) {
	if s == "24:00" {
		return minutesOfDay, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, errClock
	}
	return t.Hour()*60 + t.Minute(), nil
}
