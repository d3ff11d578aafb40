// Package api is the promise to programs: the wire types of actions, the agent protocol, and the Go client.
//
// The nouns travel as the structs of package inventory; only what is not a noun has a type here. The promise is "additions only", and
// the golden OpenAPI file beside package web guards it.
//
//	c := &api.Client{URL: "https://berth.example:8443", Token: "berth_…", TLS: api.Pinned(pin)}
//	racks, err := api.List[inventory.Rack](ctx, c, api.Query{Search: "row 3"})
//	op, err := c.Reimage(ctx, "node-7", api.DeployRequest{Image: "debian-12"})
//	err = c.Watch(ctx, op.UID, func(s api.OperationStatus) { fmt.Println(s.Operation.Sentence) })
package api
