-- Shipments, tracking, claims, deadlines, customs and custody.

-- +goose Up

CREATE TABLE "insurance_policies" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "policy_no"              TEXT NOT NULL,
    "insurer"                TEXT NOT NULL,
    "covers"                 TEXT NOT NULL,
    "starts_on"              TEXT NOT NULL,
    "ends_on"                TEXT NOT NULL,
    "currency"               TEXT NOT NULL,
    "limit_amount"           BIGINT NOT NULL,
    "deductible_amount"      BIGINT NOT NULL,
    "notice_days"            BIGINT NOT NULL,
    "claim_contact"          TEXT NOT NULL,
    "terms"                  TEXT NOT NULL
);
CREATE UNIQUE INDEX insurance_policies_key ON "insurance_policies" ("policy_no");
CREATE INDEX insurance_policies_insurer ON "insurance_policies" ("insurer", "uid");
CREATE INDEX insurance_policies_covers ON "insurance_policies" ("covers", "uid");
CREATE INDEX insurance_policies_ends_on ON "insurance_policies" ("ends_on", "uid");
CREATE INDEX insurance_policies_claim_contact ON "insurance_policies" ("claim_contact", "uid");

CREATE TABLE "tracking_sources" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "name"                   TEXT NOT NULL,
    "kind"                   TEXT NOT NULL,
    "secret"                 TEXT NOT NULL,
    "url"                    TEXT NOT NULL,
    "header"                 TEXT NOT NULL,
    "every_minutes"          BIGINT NOT NULL,
    "enabled"                BOOLEAN NOT NULL,
    "seen_at"                TIMESTAMP,
    "problem"                TEXT NOT NULL
);
CREATE UNIQUE INDEX tracking_sources_key ON "tracking_sources" ("name");
CREATE INDEX tracking_sources_kind ON "tracking_sources" ("kind", "uid");

CREATE TABLE "shipments" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "reference"              TEXT NOT NULL,
    "title"                  TEXT NOT NULL,
    "direction"              TEXT NOT NULL,
    "purpose"                TEXT NOT NULL,
    "phase"                  TEXT NOT NULL,
    "status"                 TEXT NOT NULL,
    "status_detail"          TEXT NOT NULL,
    "origin"                 TEXT NOT NULL,
    "destination"            TEXT NOT NULL,
    "from_organization"      TEXT NOT NULL,
    "to_organization"        TEXT NOT NULL,
    "from_address"           TEXT NOT NULL,
    "to_address"             TEXT NOT NULL,
    "carrier"                TEXT NOT NULL,
    "service"                TEXT NOT NULL,
    "mode"                   TEXT NOT NULL,
    "incoterm"               TEXT NOT NULL,
    "lithium"                TEXT NOT NULL,
    "tracking_code"          TEXT NOT NULL,
    "tracking_url"           TEXT NOT NULL,
    "handed_over_at"         TIMESTAMP,
    "handed_over_by"         TEXT NOT NULL,
    "promised_on"            TEXT NOT NULL,
    "delivered_at"           TIMESTAMP,
    "signed_by"              TEXT NOT NULL,
    "received_at"            TIMESTAMP,
    "currency"               TEXT NOT NULL,
    "declared_value_amount"  BIGINT NOT NULL,
    "insured_amount"         BIGINT NOT NULL,
    "policy"                 TEXT NOT NULL,
    "gross_weight_grams"     BIGINT NOT NULL,
    "silent_after_days"      BIGINT NOT NULL,
    "last_event_at"          TIMESTAMP,
    "override_reason"        TEXT NOT NULL,
    "notes"                  TEXT NOT NULL
);
CREATE INDEX shipments_created_at ON "shipments" ("created_at", "uid");
CREATE UNIQUE INDEX shipments_key ON "shipments" ("reference");
CREATE INDEX shipments_direction ON "shipments" ("direction", "created_at", "uid");
CREATE INDEX shipments_purpose ON "shipments" ("purpose", "created_at", "uid");
CREATE INDEX shipments_phase ON "shipments" ("phase", "created_at", "uid");
CREATE INDEX shipments_status ON "shipments" ("status", "created_at", "uid");
CREATE INDEX shipments_origin ON "shipments" ("origin", "created_at", "uid");
CREATE INDEX shipments_destination ON "shipments" ("destination", "created_at", "uid");
CREATE INDEX shipments_from_organization ON "shipments" ("from_organization", "created_at", "uid");
CREATE INDEX shipments_to_organization ON "shipments" ("to_organization", "created_at", "uid");
CREATE INDEX shipments_carrier ON "shipments" ("carrier", "created_at", "uid");
CREATE INDEX shipments_mode ON "shipments" ("mode", "created_at", "uid");
CREATE INDEX shipments_tracking_code ON "shipments" ("tracking_code", "created_at", "uid");
CREATE INDEX shipments_handed_over_at ON "shipments" ("handed_over_at", "uid");
CREATE INDEX shipments_promised_on ON "shipments" ("promised_on", "created_at", "uid");
CREATE INDEX shipments_delivered_at ON "shipments" ("delivered_at", "uid");
CREATE INDEX shipments_received_at ON "shipments" ("received_at", "uid");
CREATE INDEX shipments_policy ON "shipments" ("policy", "created_at", "uid");
CREATE INDEX shipments_last_event_at ON "shipments" ("last_event_at", "uid");

CREATE TABLE "parcels" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "shipment"               TEXT NOT NULL,
    "label"                  TEXT NOT NULL,
    "tracking_code"          TEXT NOT NULL,
    "status"                 TEXT NOT NULL,
    "length_mm"              BIGINT NOT NULL,
    "width_mm"               BIGINT NOT NULL,
    "height_mm"              BIGINT NOT NULL,
    "weight_grams"           BIGINT NOT NULL,
    "seal_no"                TEXT NOT NULL,
    "photo"                  TEXT NOT NULL,
    "contents"               TEXT NOT NULL,
    "received_at"            TIMESTAMP,
    "received_by"            TEXT NOT NULL,
    "damage"                 TEXT NOT NULL,
    "last_event_at"          TIMESTAMP
);
CREATE INDEX parcels_shipment ON "parcels" ("shipment", "label", "uid");
CREATE INDEX parcels_label ON "parcels" ("label", "uid");
CREATE INDEX parcels_tracking_code ON "parcels" ("tracking_code", "label", "uid");
CREATE INDEX parcels_status ON "parcels" ("status", "label", "uid");
CREATE INDEX parcels_photo ON "parcels" ("photo", "uid");
CREATE INDEX parcels_received_at ON "parcels" ("received_at", "uid");
CREATE INDEX parcels_last_event_at ON "parcels" ("last_event_at", "uid");

CREATE TABLE "shipment_items" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "shipment"               TEXT NOT NULL,
    "parcel"                 TEXT NOT NULL,
    "line"                   BIGINT NOT NULL,
    "asset"                  TEXT NOT NULL,
    "acquisition"            TEXT NOT NULL,
    "description"            TEXT NOT NULL,
    "serial"                 TEXT NOT NULL,
    "quantity"               BIGINT NOT NULL,
    "state"                  TEXT NOT NULL,
    "declared_value_amount"  BIGINT NOT NULL,
    "currency"               TEXT NOT NULL,
    "hs_code"                TEXT NOT NULL,
    "country_of_origin"      TEXT NOT NULL,
    "weight_grams"           BIGINT NOT NULL,
    "packed_at"              TIMESTAMP,
    "packed_by"              TEXT NOT NULL,
    "received_at"            TIMESTAMP,
    "received_by"            TEXT NOT NULL,
    "verified_at"            TIMESTAMP,
    "verified_by"            TEXT NOT NULL,
    "device"                 TEXT NOT NULL,
    "manifest"               TEXT,
    "note"                   TEXT NOT NULL
);
CREATE INDEX shipment_items_created_at ON "shipment_items" ("created_at", "uid");
CREATE INDEX shipment_items_shipment ON "shipment_items" ("shipment", "created_at", "uid");
CREATE INDEX shipment_items_parcel ON "shipment_items" ("parcel", "created_at", "uid");
CREATE INDEX shipment_items_asset ON "shipment_items" ("asset", "created_at", "uid");
CREATE INDEX shipment_items_acquisition ON "shipment_items" ("acquisition", "created_at", "uid");
CREATE INDEX shipment_items_serial ON "shipment_items" ("serial", "created_at", "uid");
CREATE INDEX shipment_items_state ON "shipment_items" ("state", "created_at", "uid");
CREATE INDEX shipment_items_verified_by ON "shipment_items" ("verified_by", "created_at", "uid");
CREATE INDEX shipment_items_device ON "shipment_items" ("device", "created_at", "uid");

CREATE TABLE "tracking_events" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "shipment"               TEXT NOT NULL,
    "parcel"                 TEXT NOT NULL,
    "occurred_at"            TIMESTAMP NOT NULL,
    "status"                 TEXT NOT NULL,
    "status_detail"          TEXT NOT NULL,
    "reason"                 TEXT NOT NULL,
    "description"            TEXT NOT NULL,
    "carrier_code"           TEXT NOT NULL,
    "tracking_code"          TEXT NOT NULL,
    "city"                   TEXT NOT NULL,
    "country"                TEXT NOT NULL,
    "source"                 TEXT NOT NULL,
    "tracking_source"        TEXT NOT NULL,
    "key"                    TEXT NOT NULL,
    "raw"                    TEXT NOT NULL
);
CREATE INDEX tracking_events_shipment ON "tracking_events" ("shipment", "occurred_at", "uid");
CREATE INDEX tracking_events_parcel ON "tracking_events" ("parcel", "occurred_at", "uid");
CREATE INDEX tracking_events_occurred_at ON "tracking_events" ("occurred_at", "uid");
CREATE INDEX tracking_events_status ON "tracking_events" ("status", "occurred_at", "uid");
CREATE INDEX tracking_events_tracking_code ON "tracking_events" ("tracking_code", "occurred_at", "uid");
CREATE INDEX tracking_events_source ON "tracking_events" ("source", "occurred_at", "uid");
CREATE INDEX tracking_events_tracking_source ON "tracking_events" ("tracking_source", "occurred_at", "uid");
CREATE INDEX tracking_events_key ON "tracking_events" ("key", "occurred_at", "uid");

CREATE TABLE "claims" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "reference"              TEXT NOT NULL,
    "shipment"               TEXT NOT NULL,
    "parcel"                 TEXT NOT NULL,
    "against"                TEXT NOT NULL,
    "party"                  TEXT NOT NULL,
    "policy"                 TEXT NOT NULL,
    "kind"                   TEXT NOT NULL,
    "status"                 TEXT NOT NULL,
    "their_reference"        TEXT NOT NULL,
    "currency"               TEXT NOT NULL,
    "requested_amount"       BIGINT NOT NULL,
    "approved_amount"        BIGINT NOT NULL,
    "paid_amount"            BIGINT NOT NULL,
    "salvage_amount"         BIGINT NOT NULL,
    "filed_on"               TEXT NOT NULL,
    "last_contact_at"        TIMESTAMP,
    "last_chase_at"          TIMESTAMP,
    "next_chase_on"          TEXT NOT NULL,
    "contact"                TEXT NOT NULL,
    "summary"                TEXT NOT NULL
);
CREATE UNIQUE INDEX claims_key ON "claims" ("reference");
CREATE INDEX claims_shipment ON "claims" ("shipment", "uid");
CREATE INDEX claims_parcel ON "claims" ("parcel", "uid");
CREATE INDEX claims_against ON "claims" ("against", "uid");
CREATE INDEX claims_party ON "claims" ("party", "uid");
CREATE INDEX claims_policy ON "claims" ("policy", "uid");
CREATE INDEX claims_kind ON "claims" ("kind", "uid");
CREATE INDEX claims_status ON "claims" ("status", "uid");
CREATE INDEX claims_filed_on ON "claims" ("filed_on", "uid");
CREATE INDEX claims_last_contact_at ON "claims" ("last_contact_at", "uid");
CREATE INDEX claims_next_chase_on ON "claims" ("next_chase_on", "uid");
CREATE INDEX claims_contact ON "claims" ("contact", "uid");

CREATE TABLE "claim_entries" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "claim"                  TEXT NOT NULL,
    "at"                     TIMESTAMP NOT NULL,
    "direction"              TEXT NOT NULL,
    "channel"                TEXT NOT NULL,
    "contact"                TEXT NOT NULL,
    "text"                   TEXT NOT NULL,
    "document"               TEXT NOT NULL,
    "by"                     TEXT NOT NULL,
    "corrects"               TEXT NOT NULL
);
CREATE INDEX claim_entries_claim ON "claim_entries" ("claim", "uid");
CREATE INDEX claim_entries_at ON "claim_entries" ("at", "uid");
CREATE INDEX claim_entries_direction ON "claim_entries" ("direction", "uid");
CREATE INDEX claim_entries_contact ON "claim_entries" ("contact", "uid");
CREATE INDEX claim_entries_document ON "claim_entries" ("document", "uid");
CREATE INDEX claim_entries_corrects ON "claim_entries" ("corrects", "uid");

CREATE TABLE "deadlines" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "title"                  TEXT NOT NULL,
    "due_on"                 TEXT NOT NULL,
    "state"                  TEXT NOT NULL,
    "kind"                   TEXT NOT NULL,
    "rule"                   TEXT NOT NULL,
    "starts_on"              TEXT NOT NULL,
    "source"                 TEXT NOT NULL,
    "assumes"                TEXT NOT NULL,
    "cap"                    TEXT NOT NULL,
    "unsure"                 BOOLEAN NOT NULL,
    "shipment"               TEXT NOT NULL,
    "claim"                  TEXT NOT NULL,
    "acquisition"            TEXT NOT NULL,
    "asset"                  TEXT NOT NULL,
    "site"                   TEXT NOT NULL,
    "policy"                 TEXT NOT NULL,
    "declaration"            TEXT NOT NULL,
    "done_on"                TEXT NOT NULL,
    "note"                   TEXT NOT NULL
);
CREATE INDEX deadlines_due_on ON "deadlines" ("due_on", "uid");
CREATE INDEX deadlines_state ON "deadlines" ("state", "uid");
CREATE INDEX deadlines_kind ON "deadlines" ("kind", "uid");
CREATE INDEX deadlines_rule ON "deadlines" ("rule", "uid");
CREATE INDEX deadlines_shipment ON "deadlines" ("shipment", "uid");
CREATE INDEX deadlines_claim ON "deadlines" ("claim", "uid");
CREATE INDEX deadlines_acquisition ON "deadlines" ("acquisition", "uid");
CREATE INDEX deadlines_asset ON "deadlines" ("asset", "uid");
CREATE INDEX deadlines_site ON "deadlines" ("site", "uid");
CREATE INDEX deadlines_policy ON "deadlines" ("policy", "uid");
CREATE INDEX deadlines_declaration ON "deadlines" ("declaration", "uid");

CREATE TABLE "customs_declarations" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "reference"              TEXT NOT NULL,
    "shipment"               TEXT NOT NULL,
    "kind"                   TEXT NOT NULL,
    "declared_on"            TEXT NOT NULL,
    "country"                TEXT NOT NULL,
    "office"                 TEXT NOT NULL,
    "broker"                 TEXT NOT NULL,
    "contents_type"          TEXT NOT NULL,
    "returned_goods"         BOOLEAN NOT NULL,
    "export"                 TEXT NOT NULL,
    "currency"               TEXT NOT NULL,
    "duty_amount"            BIGINT NOT NULL,
    "vat_amount"             BIGINT NOT NULL,
    "statement"              TEXT NOT NULL,
    "document"               TEXT NOT NULL
);
CREATE UNIQUE INDEX customs_declarations_key ON "customs_declarations" ("reference");
CREATE INDEX customs_declarations_shipment ON "customs_declarations" ("shipment", "uid");
CREATE INDEX customs_declarations_kind ON "customs_declarations" ("kind", "uid");
CREATE INDEX customs_declarations_declared_on ON "customs_declarations" ("declared_on", "uid");
CREATE INDEX customs_declarations_broker ON "customs_declarations" ("broker", "uid");
CREATE INDEX customs_declarations_export ON "customs_declarations" ("export", "uid");
CREATE INDEX customs_declarations_document ON "customs_declarations" ("document", "uid");

CREATE TABLE "custody_events" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "sequence"               BIGINT NOT NULL,
    "at"                     TIMESTAMP NOT NULL,
    "asset"                  TEXT NOT NULL,
    "parcel"                 TEXT NOT NULL,
    "shipment"               TEXT NOT NULL,
    "kind"                   TEXT NOT NULL,
    "from_organization"      TEXT NOT NULL,
    "to_organization"        TEXT NOT NULL,
    "contact"                TEXT NOT NULL,
    "site"                   TEXT NOT NULL,
    "place"                  TEXT NOT NULL,
    "document"               TEXT NOT NULL,
    "note"                   TEXT NOT NULL,
    "by"                     TEXT NOT NULL,
    "corrects"               TEXT NOT NULL,
    "previous_hash"          TEXT NOT NULL,
    "hash"                   TEXT NOT NULL
);
-- One link in each place of the chain: two servers cannot fork it.
CREATE UNIQUE INDEX custody_events_sequence ON "custody_events" ("sequence");
CREATE INDEX custody_events_at ON "custody_events" ("at", "uid");
CREATE INDEX custody_events_asset ON "custody_events" ("asset", "sequence", "uid");
CREATE INDEX custody_events_parcel ON "custody_events" ("parcel", "sequence", "uid");
CREATE INDEX custody_events_shipment ON "custody_events" ("shipment", "sequence", "uid");
CREATE INDEX custody_events_kind ON "custody_events" ("kind", "sequence", "uid");
CREATE INDEX custody_events_from_organization ON "custody_events" ("from_organization", "sequence", "uid");
CREATE INDEX custody_events_to_organization ON "custody_events" ("to_organization", "sequence", "uid");
CREATE INDEX custody_events_contact ON "custody_events" ("contact", "uid");
CREATE INDEX custody_events_site ON "custody_events" ("site", "sequence", "uid");
CREATE INDEX custody_events_document ON "custody_events" ("document", "uid");
CREATE INDEX custody_events_corrects ON "custody_events" ("corrects", "sequence", "uid");
CREATE INDEX custody_events_hash ON "custody_events" ("hash", "sequence", "uid");

