package provision_test

import (
	"berth/api"
	"berth/storage"
)

func consentTo(p *api.DeployPlan) *storage.Consent {
	return &storage.Consent{Machine: p.Machine, Serials: p.Serials, PlanDigest: p.Digest}
}
