package claims

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"berth/inventory"
)

// Schedule writes what a disposition took as CSV: one line for each asset, with its basis, its book value frozen at the date, and what
// was insured and paid. Amounts are left out for who may not see money. It is a list for whoever does the taxes, not a computation of tax.
func Schedule(w io.Writer, r Reader, d *inventory.Disposition, money bool) error {
	rows, err := scheduleRows(r, d)
	if err != nil {
		return err
	}
	out := &sheet{w: csv.NewWriter(w)}
	out.row("disposition", "kind", "state", "date", "asset_tag", "serial", "name", "part_number", "acquired", "where_it_was", "basis", "book_value", "insured", "proceeds", "currency")
	for _, row := range rows {
		item, asset := row.item, row.asset
		acquired := ""
		if asset.AcquiredAt != nil {
			acquired = string(inventory.DateOf(*asset.AcquiredAt))
		}
		amounts := []string{"", "", "", "", item.Currency}
		if money {
			for i, minor := range []int64{item.BasisAmount, item.BookAmount, item.InsuredAmount, item.ProceedsAmount} {
				amounts[i] = inventory.FormatAmount(minor, item.Currency)
			}
		}
		out.row(append([]string{d.Reference, d.Kind, d.State, string(d.OnDate), asset.AssetTag, orWord(item.Serial, asset.Serial), asset.Name, asset.PartNumber, acquired, item.Before["stood"]}, amounts...)...)
	}
	return out.end()
}

// scheduleRow is one thing on a schedule.
type scheduleRow struct {
	item  *inventory.DispositionItem
	asset *inventory.Asset
}

// scheduleRows are the things of a disposition in the order of their tags.
func scheduleRows(r Reader, d *inventory.Disposition) ([]scheduleRow, error) {
	items, err := all[inventory.DispositionItem](r, maxLost, "created_at", inventory.Is("disposition", d.UID))
	if err != nil {
		return nil, err
	}
	var rows []scheduleRow
	for _, item := range items {
		asset := &inventory.Asset{AssetTag: string(item.Asset)}
		if err := find(r, item.Asset, &asset); err != nil {
			return nil, err
		}
		rows = append(rows, scheduleRow{item, asset})
	}
	slices.SortFunc(rows, func(a, b scheduleRow) int { return strings.Compare(a.asset.AssetTag, b.asset.AssetTag) })
	return rows, nil
}

// sheet writes CSV whose cells no spreadsheet takes for a formula.
type sheet struct {
	w   *csv.Writer
	err error
}

func (s *sheet) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = inventory.NeutralCell(cell)
	}
	if s.err == nil {
		s.err = s.w.Write(cells)
	}
}

func (s *sheet) end() error {
	s.w.Flush()
	if s.err == nil {
		s.err = s.w.Error()
	}
	if s.err != nil {
		return fmt.Errorf("write a list as CSV: %w", s.err)
	}
	return nil
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
