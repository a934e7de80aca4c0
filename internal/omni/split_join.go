package omni

import "strings"

const partSeparator = "\n\n" // two of every unit

// joined makes at most MaxParts of the parts, evenly; where the limit of a part
// forbids that, as few as it allows.
func joined(parts []string, opt SplitOptions) []string {
	n, most := len(parts), opt.MaxParts
	if !opt.Auto || most <= 0 || n <= most {
		return parts
	}
	lengths := make([]int, n)
	for i, p := range parts {
		lengths[i] = Length(p, opt.Unit)
	}
	even := joinRuns(parts, lengths, opt.MaxLength, func(group int) int { return group * n / most })
	if len(even) <= most {
		return even
	}
	return joinRuns(parts, lengths, opt.MaxLength, func(int) int { return n })
}

// joinRuns joins neighbours. upTo says, for a count of groups, how many parts
// these should have taken.
func joinRuns(parts []string, lengths []int, limit int, upTo func(groups int) int) []string {
	var out []string
	for i := 0; i < len(parts); {
		end := max(upTo(len(out)+1), i+1)
		size, next := lengths[i], i+1
		for next < min(end, len(parts)) && (limit <= 0 || size+len(partSeparator)+lengths[next] <= limit) {
			size += len(partSeparator) + lengths[next]
			next++
		}
		out = append(out, strings.Join(parts[i:next], partSeparator))
		i = next
	}
	return out
}
