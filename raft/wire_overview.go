package raft

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/rawl-db/rawl/raft/core"
)

// The values of an overview on the wire. The numbers are frozen.
const (
	wireNil byte = iota + 1
	wireFalse
	wireTrue
	wireInt
	wireUint64
	wireFloat64
	wireString
	wireList
	wireMap
	wireEntryID
	wireMemberList
)

// Bounds of an overview. What exceeds them is replaced by a text that says so.
const (
	maxOverviewValues = 4096
	maxOverviewDepth  = 16
	maxOverviewBytes  = 1 << 20
)

// overviewEncoder writes the values of an overview.
type overviewEncoder struct {
	b      []byte
	values int // that may follow
	most   int // bytes of b
}

// appendOverview encodes what a server says of itself: a map, without the byte of its kind. A value is its kind (byte) and
//
//	1 nil, 2 false, 3 true: nothing
//	4 int: uvarint, zigzag
//	5 uint64: uvarint
//	6 float64: its bits (8 B, little-endian)
//	7 string: string
//	8 list: number of values; the values
//	9 map: number of keys; key (string) and value of each, ascending by key
//	10 entry's id
//	11 members: bytes of the Marshal of a Configuration of them
//
// Values of other types are what encoding/json makes of them.
func appendOverview(b []byte, view map[string]any) []byte {
	e := overviewEncoder{b: b, values: maxOverviewValues, most: len(b) + maxOverviewBytes}
	keys := slices.Sorted(maps.Keys(view))
	e.b = binary.AppendUvarint(e.b, uint64(len(keys)))
	for k, key := range keys {
		e.b = appendName(e.b, key)
		others := len(keys) - 1 - k // there is a value left for each
		size, values := len(e.b), e.values
		e.values -= others
		if err := e.guarded(view[key]); err != nil {
			e.b = appendName(append(e.b[:size], wireString), "raft: not to be sent: "+remoteErrorOf(err).text)
			e.values = values - 1 - others
		}
		e.values += others
	}
	return e.b
}

// guarded writes a value of a user's, who may have made it of anything.
func (e *overviewEncoder) guarded(x any) (err error) {
	if failed := guard("Overview", 0, func() { err = e.value(x, 1) }); failed != nil {
		return failed
	}
	return err
}

// value writes one. Errors: ErrTooLarge, those of encoding/json.
func (e *overviewEncoder) value(x any, depth int) error {
	if e.values--; e.values < 0 || depth > maxOverviewDepth || len(e.b) > e.most {
		return fmt.Errorf("%w: overview of more than %d values, %d levels or %d bytes", ErrTooLarge, maxOverviewValues,
			maxOverviewDepth, maxOverviewBytes)
	}
	switch x := x.(type) {
	case nil:
		e.b = append(e.b, wireNil)
	case bool:
		e.b = append(e.b, wireFalse+flagIf(x, 1))
	case int:
		e.b = binary.AppendVarint(append(e.b, wireInt), int64(x))
	case uint64:
		e.b = binary.AppendUvarint(append(e.b, wireUint64), x)
	case float64:
		e.b = binary.LittleEndian.AppendUint64(append(e.b, wireFloat64), math.Float64bits(x))
	case string:
		if len(e.b)+len(x) > e.most {
			return fmt.Errorf("%w: text of %d bytes", ErrTooLarge, len(x))
		}
		e.b = appendName(append(e.b, wireString), x)
	case EntryID:
		e.b = appendEntryID(append(e.b, wireEntryID), x)
	case []core.Member:
		c := core.Configuration{Members: x}
		if c.Validate() != nil {
			return e.other(x, depth) // a user's, of something else
		}
		e.b = appendConfiguration(append(e.b, wireMemberList), c)
	case []any:
		return e.list(x, depth)
	case map[string]any:
		return e.object(x, depth)
	case json.Number:
		return e.number(x, depth)
	default:
		return e.other(x, depth)
	}
	return nil
}

func (e *overviewEncoder) list(list []any, depth int) error {
	e.b = binary.AppendUvarint(append(e.b, wireList), uint64(len(list)))
	for _, x := range list {
		if err := e.value(x, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (e *overviewEncoder) object(object map[string]any, depth int) error {
	e.b = binary.AppendUvarint(append(e.b, wireMap), uint64(len(object)))
	for _, key := range slices.Sorted(maps.Keys(object)) {
		e.b = appendName(e.b, key)
		if err := e.value(object[key], depth+1); err != nil {
			return err
		}
	}
	return nil
}

// number writes one of JSON's: an int if it is one, a uint64 or a float64 otherwise.
func (e *overviewEncoder) number(n json.Number, depth int) error {
	e.values++ // it is the one that was counted
	if i, err := strconv.Atoi(n.String()); err == nil {
		return e.value(i, depth)
	}
	if u, err := strconv.ParseUint(n.String(), 10, 64); err == nil {
		return e.value(u, depth)
	}
	f, err := n.Float64()
	if err != nil {
		return err
	}
	return e.value(f, depth)
}

// other writes what encoding/json makes of a value.
func (e *overviewEncoder) other(x any, depth int) error {
	text, err := json.Marshal(x)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var plain any
	if err := d.Decode(&plain); err != nil {
		return err
	}
	e.values++
	return e.value(plain, depth)
}

func (d *packetDecoder) overview() map[string]any {
	values := maxOverviewValues
	return d.object(&values, 0)
}

// overviewValue reads one of so many that may follow.
func (d *packetDecoder) overviewValue(values *int, depth int) any {
	if *values--; *values < 0 || depth > maxOverviewDepth {
		d.refuse()
		return nil
	}
	switch d.byte() {
	case wireNil:
		return nil
	case wireFalse:
		return false
	case wireTrue:
		return true
	case wireInt:
		zigzag := d.uvarint()
		return int(zigzag>>1) ^ -int(zigzag&1)
	case wireUint64:
		return d.uvarint()
	case wireFloat64:
		return math.Float64frombits(d.fixed64())
	case wireString:
		return d.text()
	case wireEntryID:
		return d.entryID()
	case wireMemberList:
		c := d.configuration()
		if c.Cluster != (core.ClusterID{}) || c.Epoch != 0 {
			d.refuse()
		}
		return c.Members
	case wireList:
		list := []any{}
		for range d.count(*values, 1) {
			list = append(list, d.overviewValue(values, depth+1))
		}
		return list
	case wireMap:
		return d.object(values, depth)
	}
	d.refuse()
	return nil
}

// object reads a map whose keys are ascending.
func (d *packetDecoder) object(values *int, depth int) map[string]any {
	n := d.count(*values, 2)
	object := make(map[string]any)
	last := ""
	for k := range n {
		key := d.text()
		if k > 0 && key <= last {
			d.refuse()
		}
		if d.bad {
			break
		}
		object[key] = d.overviewValue(values, depth+1)
		last = key
	}
	return object
}
