package look

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"testing"

	"berth/inventory"
)

// judged is what a decoder makes of a reply, as JSON without what was not reported.
func judged(decode func([]byte, *inventory.SMARTFacts), reply []byte) string {
	var f inventory.SMARTFacts
	decode(reply, &f)
	raw, err := json.Marshal(f)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// nvmeHealth is a log page as a worn enterprise disk gives it.
func nvmeHealth() []byte {
	log := make([]byte, 512)
	log[0] = 0x04 // the reliability is degraded
	binary.LittleEndian.PutUint16(log[1:], 273+41)
	log[5] = 103
	binary.LittleEndian.PutUint64(log[48:], 2_000_000)
	binary.LittleEndian.PutUint64(log[112:], 77)
	binary.LittleEndian.PutUint64(log[128:], 43800)
	binary.LittleEndian.PutUint64(log[160:], 12)
	return log
}

func TestJudgeNVMe(t *testing.T) {
	want := `{"passed":false,"temperature_celsius":41,"power_on_hours":43800,"power_cycles":77,"percent_used":103,"media_errors":12,"written_bytes":1024000000000}`
	if got := judged(judgeNVMe, nvmeHealth()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := judged(judgeNVMe, nvmeHealth()[:511]); got != "{}" {
		t.Errorf("a cut page is %s", got)
	}
	huge := make([]byte, 512)
	for i := range huge {
		huge[i] = 0xff
	}
	var f inventory.SMARTFacts
	judgeNVMe(huge, &f)
	if *f.WrittenBytes != math.MaxInt64 || *f.PowerOnHours != math.MaxInt64 {
		t.Errorf("the largest counters are %d, %d", *f.WrittenBytes, *f.PowerOnHours)
	}
}

// ataData makes SMART data of attributes and their raw values.
func ataData(attributes ...[2]uint64) []byte {
	data := make([]byte, 512)
	for i, a := range attributes {
		data[2+12*i] = byte(a[0])
		for n := range 6 {
			data[2+12*i+5+n] = byte(a[1] >> (8 * n))
		}
	}
	var sum byte
	for _, b := range data {
		sum += b
	}
	data[511] = -sum
	return data
}

func TestJudgeATA(t *testing.T) {
	data := ataData([2]uint64{5, 8}, [2]uint64{9, 0x3300_0000_a0f5}, [2]uint64{12, 40}, [2]uint64{187, 3}, [2]uint64{190, 38}, [2]uint64{194, 0x0014_0024}, [2]uint64{197, 16})
	want := `{"temperature_celsius":36,"power_on_hours":41205,"power_cycles":40,"reallocated_sectors":8,"pending_sectors":16,"media_errors":3}`
	if got := judged(judgeATA, data); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	data[100]++
	if got := judged(judgeATA, data); got != "{}" {
		t.Errorf("data with a wrong sum is %s", got)
	}
	if got := judged(judgeATA, ataData([2]uint64{190, 30})); got != `{"temperature_celsius":30}` {
		t.Errorf("the temperature of the air alone is %s", got)
	}
}

// scsiPage makes a log page of parameters.
func scsiPage(page byte, parameters ...[]byte) []byte {
	log := []byte{page, 0, 0, 0}
	for _, p := range parameters {
		log = append(log, p...)
	}
	binary.BigEndian.PutUint16(log[2:], uint16(len(log)-4))
	return log
}

func parameter(code uint16, value ...byte) []byte {
	return append([]byte{byte(code >> 8), byte(code), 0, byte(len(value))}, value...)
}

func TestJudgeSCSI(t *testing.T) {
	for name, c := range map[string]struct {
		log  []byte
		want string
	}{
		"healthy":        {scsiPage(0x2f, parameter(0, 0, 0, 33)), `{"passed":true,"temperature_celsius":33}`},
		"failing":        {scsiPage(0x2f, parameter(0, 0x5d, 0x10, 0xff)), `{"passed":false}`},
		"temperature":    {scsiPage(0x0d, parameter(0, 0, 41), parameter(1, 0, 65)), `{"temperature_celsius":41}`},
		"cycles":         {scsiPage(0x0e, parameter(3, 0, 0, 0x27, 0x10), parameter(4, 0, 0, 0, 55)), `{"power_cycles":55}`},
		"background":     {scsiPage(0x15, parameter(0, 0, 0x25, 0x80, 0, 0, 0)), `{"power_on_hours":40960}`},
		"wear":           {scsiPage(0x11, parameter(1, 0, 0, 0, 7)), `{"percent_used":7}`},
		"writes":         {scsiPage(0x02, parameter(5, 0, 0, 1, 0, 0, 0, 0, 0), parameter(6, 2)), `{"media_errors":2,"written_bytes":1099511627776}`},
		"reads":          {scsiPage(0x03, parameter(5, 9), parameter(6, 0, 0, 0, 1)), `{"media_errors":1}`},
		"cut":            {scsiPage(0x0d, parameter(0, 0, 41))[:7], `{}`},
		"length too big": {append([]byte{0x0d, 0, 0xff, 0xff}, parameter(0, 0, 41)...), `{"temperature_celsius":41}`},
		"another page":   {scsiPage(0x30, parameter(0, 1, 2, 3)), `{}`},
		"nothing":        {nil, `{}`},
	} {
		if got := judged(judgeSCSI, c.log); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestErrorsOfReadsAndWritesAddUp(t *testing.T) {
	var f inventory.SMARTFacts
	judgeSCSI(scsiPage(0x03, parameter(6, 4)), &f)
	judgeSCSI(scsiPage(0x02, parameter(6, 3)), &f)
	if *f.MediaErrors != 7 {
		t.Errorf("%d media errors", *f.MediaErrors)
	}
}

func FuzzHealth(f *testing.F) {
	f.Add(nvmeHealth())
	f.Add(ataData([2]uint64{9, 1}))
	f.Add(scsiPage(0x02, parameter(5, 1, 2, 3), parameter(6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)))
	f.Fuzz(func(t *testing.T, reply []byte) {
		for _, decode := range []func([]byte, *inventory.SMARTFacts){judgeNVMe, judgeATA, judgeSCSI} {
			var facts inventory.SMARTFacts
			decode(reply, &facts)
			for _, n := range []*int64{facts.PowerOnHours, facts.PowerCycles, facts.MediaErrors, facts.WrittenBytes, facts.ReallocatedSectors} {
				if n != nil && *n < 0 {
					t.Errorf("a negative counter in %+v", facts)
				}
			}
		}
	})
}
