package web

import (
	"net/http"
	"slices"
	"strings"

	"berth/inventory"
)

// pageRoutes are the pages: those drawn by hand, and for every noun the derived ones that no hand-drawn page replaces.
func (s *Server) pageRoutes() []route {
	rows := slices.Concat(s.entryPages(), s.machinePages(), s.otherPages(), s.importPages(), s.rackPages(), s.labelPages(), s.movePages(), s.sitePages(), s.attachedPages(), s.documentPages(), s.moneyPages(), s.acquisitionPages(), s.customsPages(), s.shipmentPages(), s.scanPages(), s.claimPages(), s.lossPages(), s.agendaPages(), s.notificationPages())
	drawn := map[string]bool{}
	for i := range rows {
		rows[i].surface = surfacePage
		drawn[rows[i].method+" "+rows[i].pattern] = true
	}
	for _, rt := range s.nounPages() {
		if !drawn[rt.method+" "+rt.pattern] {
			rt.surface = surfacePage
			rows = append(rows, rt)
		}
	}
	for i, rt := range rows { // the forms of a list work on every list, also those drawn by hand
		if n, ok := inventory.NounOf(strings.TrimPrefix(rt.pattern, "/")); ok && rt.method == http.MethodGet && rt.pattern == "/"+n.Plural {
			rows[i].handle = listForms(n, rt.handle)
		}
	}
	return rows
}

// entryPages are the way in, and one's own account.
func (s *Server) entryPages() []route {
	return []route{
		{method: "GET", pattern: "/static/{name}", need: accessOpen, handle: s.serveAsset},
		{method: "GET", pattern: "/login", need: accessOpen, handle: s.showLogin},
		{method: "POST", pattern: "/login", need: accessOpen, handle: s.login},
		{method: "POST", pattern: "/logout", need: "viewer", handle: s.logout},
		{method: "GET", pattern: "/{$}", need: "viewer", handle: s.home},
		{method: "GET", pattern: "/search", need: "viewer", handle: s.searchPage},
		{method: "GET", pattern: "/me", need: "viewer", handle: s.showMe},
		{method: "GET", pattern: "/me/password", need: "viewer", handle: s.showPassword},
		{method: "POST", pattern: "/me/password", need: "viewer", handle: s.changePassword},
		{method: "POST", pattern: "/me/tokens", need: "viewer", handle: s.makeToken},
		{method: "POST", pattern: "/me/tokens/{ref}/revoke", need: "viewer", handle: s.dropToken},
		{method: "POST", pattern: "/me/sessions/{ref}/end", need: "viewer", handle: s.dropSession},
		{method: "GET", pattern: "/all", need: "viewer", handle: s.everythingPage},
		{method: "POST", pattern: "/views/{noun}/save", need: "viewer", handle: s.saveView},
		{method: "POST", pattern: "/views/{ref}/drop", need: "viewer", handle: s.dropView},
	}
}

func (s *Server) machinePages() []route {
	return []route{
		{method: "GET", pattern: "/machines", need: "viewer", handle: s.machinesPage},
		{method: "GET", pattern: "/machines/adopt", need: "operator", handle: s.adoptPage},
		{method: "POST", pattern: "/machines/adopt", need: "operator", handle: s.adoptForm},
		{method: "GET", pattern: "/machines/{ref}", need: "viewer", handle: s.machinePage},
		{method: "GET", pattern: "/machines/{ref}/timeline", need: "viewer", handle: s.timelinePage},
		{method: "GET", pattern: "/machines/{ref}/accept", need: "operator", handle: s.acceptPage},
		{method: "POST", pattern: "/machines/{ref}/accept", need: "operator", handle: s.acceptForm},
		{method: "GET", pattern: "/machines/{ref}/deploy", need: "operator", handle: s.deployPage("deploy")},
		{method: "POST", pattern: "/machines/{ref}/deploy", need: "operator", handle: s.deployForm("deploy")},
		{method: "GET", pattern: "/machines/{ref}/reimage", need: "operator", handle: s.deployPage("reimage")},
		{method: "POST", pattern: "/machines/{ref}/reimage", need: "operator", handle: s.deployForm("reimage")},
		{method: "GET", pattern: "/machines/{ref}/release", need: "operator", handle: s.releasePage},
		{method: "POST", pattern: "/machines/{ref}/release", need: "operator", handle: s.releaseForm},
		{method: "GET", pattern: "/machines/{ref}/retire", need: "operator", handle: s.retirePage},
		{method: "POST", pattern: "/machines/{ref}/retire", need: "operator", handle: s.retireForm},
		{method: "POST", pattern: "/machines/{ref}/power", need: "operator", handle: s.powerForm},
		{method: "POST", pattern: "/machines/{ref}/inspect", need: "operator", handle: s.inspectForm},
		{method: "POST", pattern: "/machines/{ref}/clear", need: "operator", handle: s.clearForm},
		{method: "POST", pattern: "/deviations/{ref}/verdict", need: "operator", handle: s.verdictForm},
	}
}

func (s *Server) otherPages() []route {
	return []route{
		{method: "GET", pattern: "/operations", need: "viewer", handle: s.operationsPage},
		{method: "GET", pattern: "/operations/{ref}", need: "viewer", handle: s.operationPage},
		{method: "POST", pattern: "/operations/{ref}/cancel", need: "operator", handle: s.cancelForm},
		{method: "POST", pattern: "/operations/{ref}/steps/{step}/done", need: "operator", handle: s.taskDoneForm},
		{method: "GET", pattern: "/images/import", need: "operator", handle: s.importPage},
		{method: "POST", pattern: "/images/upload", need: "operator", handle: s.uploadForm, stream: true},
		{method: "POST", pattern: "/images/fetch", need: "operator", handle: s.fetchForm},
		{method: "GET", pattern: "/boot-attempts/{ref}", need: "viewer", handle: s.attemptPage},
		{method: "GET", pattern: "/changes/{ref}", need: "viewer", handle: s.changePage},
		{method: "POST", pattern: "/changes/{ref}/undo", need: "operator", handle: s.undoForm},
		{method: "POST", pattern: "/accounts/{ref}/password", need: "admin", handle: s.accountPasswordForm},
	}
}

// nounPages derives list, page and forms for every noun.
func (s *Server) nounPages() []route {
	var rows []route
	for _, n := range inventory.Nouns {
		list, one := "/"+n.Plural, "/"+n.Plural+"/{ref}"
		rows = append(rows,
			route{method: http.MethodGet, pattern: list, need: n.Read, handle: s.nounList(n)},
			route{method: http.MethodGet, pattern: list + ".csv", need: n.Read, handle: s.nounCSV(n)},
			route{method: http.MethodGet, pattern: one, need: n.Read, handle: s.nounOne(n)})
		if n.Edit == inventory.LevelNone {
			continue
		}
		if !n.AppendOnly {
			rows = append(rows, route{method: http.MethodPost, pattern: list + "/bulk", need: n.Edit, handle: s.bulkPage(n)})
		}
		if byHand[n.Name].create == "" {
			rows = append(rows,
				route{method: http.MethodGet, pattern: list + "/new", need: n.Edit, handle: s.nounNew(n)},
				route{method: http.MethodPost, pattern: list + "/new", need: n.Edit, handle: s.nounCreate(n)})
		}
		rows = append(rows,
			route{method: http.MethodGet, pattern: one + "/edit", need: n.Edit, handle: s.nounEdit(n)},
			route{method: http.MethodPost, pattern: one + "/edit", need: n.Edit, handle: s.nounUpdate(n)})
		if byHand[n.Name].remove == "" {
			rows = append(rows, route{method: http.MethodPost, pattern: one + "/delete", need: n.Edit, handle: s.nounDelete(n)})
		}
	}
	return rows
}
