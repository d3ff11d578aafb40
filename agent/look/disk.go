package look

import (
	"encoding/json"
	"strings"
	"sync"

	"berth/agent"
	"berth/inventory"
	"berth/storage"
)

// Disk is a disk as package storage/disk sees it, with the kernel's name of the moment, by which it can be asked more.
type Disk struct {
	Name string `json:"name"`
	storage.Observed
}

// disks takes the list that package storage/disk makes and adds what the kernel and the disks themselves say besides. The disks are
// asked side by side: one that is spinning up holds up no other.
func disks(s Source, p *problems) []inventory.DiskFacts {
	raw, err := s.Ask(AskDisks, "all")
	if err != nil {
		p.note("list the disks", err)
		return nil
	}
	var list []Disk
	if err := json.Unmarshal(raw, &list); err != nil {
		p.note("list the disks", err)
		return nil
	}
	list = list[:min(len(list), diskLimit)]
	all := make([]inventory.DiskFacts, len(list))
	faults := make([]problems, len(list))
	each(len(list), func(i int) { all[i] = diskFacts(s, list[i], &faults[i]) })
	for _, f := range faults {
		*p = append(*p, f[:min(len(f), problemLimit-min(len(*p), problemLimit))]...)
	}
	return all
}

// atOnce is how many devices are asked side by side.
const atOnce = 16

// each calls do for 0 to n-1, some side by side, and returns when all are done.
func each(n int, do func(i int)) {
	var all sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for i := range n {
		room <- struct{}{}
		all.Go(func() { do(i); <-room })
	}
	all.Wait()
}

func diskFacts(s Source, d Disk, p *problems) inventory.DiskFacts {
	dir := "sys/block/" + d.Name + "/device/"
	f := inventory.DiskFacts{
		Name: text(d.Name), Model: text(d.Model), Serial: text(d.Serial), WWN: text(d.WWN), SizeBytes: d.Size,
		Transport: string(d.Transport), Type: diskType(d.Observed), Rotational: d.Rotational, LogicalBlockBytes: d.BlockSize,
		ReadOnly: d.ReadOnly, Removable: d.Removable,
		Slot:     slot(s, d.Name),
		Firmware: or(word(s, dir+"firmware_rev"), word(s, dir+"rev")),
		SMART:    health(s, d, p),
	}
	if virtual(d.Observed) {
		f.Rotational = nil // the kernel has to answer something; whoever provides the disk knows
	}
	if vendor := word(s, dir+"vendor"); vendor != "ATA" && d.Transport != storage.TransportVirtio {
		f.Manufacturer = vendor // of a SATA disk the kernel only says that it speaks ATA; of a virtio disk, a number
	}
	f.Contents, f.ContentRead = contents(d.Content), d.Content.Incomplete == ""
	if !f.ContentRead {
		*p = append(*p, text("what is on "+f.Name+" could not be read: "+d.Content.Incomplete))
	}
	return f
}

// slot is the bay a disk sits in, as its enclosure (SCSI Enclosure Services) or its PCI slot is labelled.
func slot(s Source, name string) string {
	names, err := s.ReadDir("sys/block/" + name + "/device")
	if err != nil {
		return ""
	}
	for _, link := range names {
		if label, is := strings.CutPrefix(link, "enclosure_device:"); is {
			return text(label)
		}
	}
	return pciSlot(s, pciAddress(s, "sys/block/"+name))
}

// pciSlot finds the label of the slot whose address is that of a function without its number.
func pciSlot(s Source, function string) string {
	device, _, ok := strings.Cut(function, ".")
	if !ok {
		return ""
	}
	slots, err := s.ReadDir("sys/bus/pci/slots")
	if err != nil {
		return ""
	}
	for _, label := range slots {
		if word(s, "sys/bus/pci/slots/"+label+"/address") == device {
			return text(label)
		}
	}
	return ""
}

// virtual says that there is no disk behind the disk, or none that can be known from here.
func virtual(d storage.Observed) bool {
	return d.Transport == storage.TransportVirtio || d.Transport == storage.TransportLoop
}

func diskType(d storage.Observed) string {
	switch {
	case d.Transport == storage.TransportNVMe:
		return "NVME"
	case d.Rotational == nil, virtual(d):
		return ""
	case *d.Rotational:
		return "HD"
	}
	return "SSD"
}

// contentLimit bounds the findings of one disk: a table may have 128 partitions, each with something in it.
const contentLimit = 512

func contents(c storage.Content) []inventory.ContentFact {
	var all []inventory.ContentFact
	for _, f := range c.Findings[:min(len(c.Findings), contentLimit)] {
		all = append(all, agent.ContentFact(f))
	}
	return all
}

// health asks a disk how it is, in the language of its transport. Disks that do not answer are reported without.
func health(s Source, d Disk, p *problems) *inventory.SMARTFacts {
	f := &inventory.SMARTFacts{}
	switch d.Transport {
	case storage.TransportNVMe:
		reply, err := s.Ask(AskNVMeHealth, d.Name)
		p.note("read the health of "+d.Name, err)
		judgeNVMe(reply, f)
	case storage.TransportSATA:
		reply, err := s.Ask(AskATASmartStatus, d.Name)
		p.note("read the health of "+d.Name, err)
		if len(reply) == 1 {
			passed := reply[0] == 1
			f.Passed = &passed
		}
		reply, err = s.Ask(AskATASmartData, d.Name)
		p.note("read the SMART data of "+d.Name, err)
		judgeATA(reply, f)
	case storage.TransportSAS, storage.TransportSCSI:
		for _, q := range scsiPages {
			if reply, err := s.Ask(q, d.Name); err == nil {
				judgeSCSI(reply, f)
			}
		}
	}
	if *f == (inventory.SMARTFacts{}) {
		return nil
	}
	return f
}
