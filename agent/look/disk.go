package look

import (
	"encoding/json"
	"fmt"

	"berth/inventory"
)

// disks takes the list that package storage/disk made and adds what each disk says of its health.
func disks(s Source, p *problems) []inventory.DiskFacts {
	raw, err := s.Ask(AskDisks, "")
	if err != nil {
		p.note("list the disks", err)
		return nil
	}
	var list struct {
		Disks    []inventory.DiskFacts `json:"disks"`
		Problems []string              `json:"problems"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		p.note("list the disks", err)
		return nil
	}
	for _, problem := range list.Problems {
		p.note("disks", fmt.Errorf("%s", problem))
	}
	return list.Disks
}
