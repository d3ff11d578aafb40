-- Racks, power, networks, parts, moves and stock-takes.

-- +goose Up

CREATE TABLE "rack_types" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "manufacturer"           TEXT NOT NULL,
    "model"                  TEXT NOT NULL,
    "slug"                   TEXT NOT NULL,
    "form_factor"            TEXT NOT NULL,
    "width"                  BIGINT NOT NULL,
    "u_height"               BIGINT NOT NULL,
    "starting_unit"          BIGINT NOT NULL,
    "desc_units"             BOOLEAN NOT NULL,
    "outer_width_mm"         BIGINT NOT NULL,
    "outer_height_mm"        BIGINT NOT NULL,
    "outer_depth_mm"         BIGINT NOT NULL,
    "mounting_depth_mm"      BIGINT NOT NULL,
    "weight_grams"           BIGINT NOT NULL,
    "max_weight_grams"       BIGINT NOT NULL,
    "description"            TEXT NOT NULL
);
CREATE INDEX rack_types_manufacturer ON "rack_types" ("manufacturer", "uid");
CREATE INDEX rack_types_model ON "rack_types" ("model", "uid");
CREATE UNIQUE INDEX rack_types_key ON "rack_types" ("slug");

CREATE TABLE "rack_reservations" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "rack"                   TEXT NOT NULL,
    "from_unit"              DOUBLE PRECISION NOT NULL,
    "height"                 DOUBLE PRECISION NOT NULL,
    "face"                   TEXT NOT NULL,
    "status"                 TEXT NOT NULL,
    "organization"           TEXT NOT NULL,
    "until"                  TEXT NOT NULL,
    "description"            TEXT NOT NULL
);
CREATE INDEX rack_reservations_rack ON "rack_reservations" ("rack", "uid");
CREATE INDEX rack_reservations_from_unit ON "rack_reservations" ("from_unit", "uid");
CREATE INDEX rack_reservations_status ON "rack_reservations" ("status", "uid");
CREATE INDEX rack_reservations_organization ON "rack_reservations" ("organization", "uid");
CREATE INDEX rack_reservations_until ON "rack_reservations" ("until", "uid");

CREATE TABLE "power_panels" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "site"                   TEXT NOT NULL,
    "location"               TEXT NOT NULL,
    "name"                   TEXT NOT NULL,
    "description"            TEXT NOT NULL
);
CREATE INDEX power_panels_site ON "power_panels" ("site", "uid");
CREATE INDEX power_panels_location ON "power_panels" ("location", "uid");
CREATE INDEX power_panels_name ON "power_panels" ("name", "uid");

CREATE TABLE "power_feeds" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "power_panel"            TEXT NOT NULL,
    "rack"                   TEXT NOT NULL,
    "name"                   TEXT NOT NULL,
    "status"                 TEXT NOT NULL,
    "type"                   TEXT NOT NULL,
    "supply"                 TEXT NOT NULL,
    "phase"                  TEXT NOT NULL,
    "voltage_v"              BIGINT NOT NULL,
    "amperage_a"             BIGINT NOT NULL,
    "max_utilization_percent" BIGINT NOT NULL,
    "description"            TEXT NOT NULL
);
CREATE INDEX power_feeds_power_panel ON "power_feeds" ("power_panel", "uid");
CREATE INDEX power_feeds_rack ON "power_feeds" ("rack", "uid");
CREATE INDEX power_feeds_name ON "power_feeds" ("name", "uid");
CREATE INDEX power_feeds_status ON "power_feeds" ("status", "uid");

CREATE TABLE "power_ports" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "device"                 TEXT NOT NULL,
    "name"                   TEXT NOT NULL,
    "type"                   TEXT NOT NULL,
    "maximum_draw_w"         BIGINT NOT NULL,
    "allocated_draw_w"       BIGINT NOT NULL,
    "measured_draw_w"        BIGINT,
    "measured_at"            TIMESTAMP
);
CREATE INDEX power_ports_device ON "power_ports" ("device", "name", "uid");
CREATE INDEX power_ports_name ON "power_ports" ("name", "uid");

CREATE TABLE "power_outlets" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "device"                 TEXT NOT NULL,
    "name"                   TEXT NOT NULL,
    "type"                   TEXT NOT NULL,
    "power_port"             TEXT NOT NULL,
    "feed_leg"               TEXT NOT NULL
);
CREATE INDEX power_outlets_device ON "power_outlets" ("device", "name", "uid");
CREATE INDEX power_outlets_name ON "power_outlets" ("name", "uid");
CREATE INDEX power_outlets_power_port ON "power_outlets" ("power_port", "name", "uid");

CREATE TABLE "cables" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "label"                  TEXT NOT NULL,
    "type"                   TEXT NOT NULL,
    "status"                 TEXT NOT NULL,
    "color"                  TEXT NOT NULL,
    "length_mm"              BIGINT NOT NULL,
    "a_interface"            TEXT NOT NULL,
    "a_power_port"           TEXT NOT NULL,
    "a_power_outlet"         TEXT NOT NULL,
    "a_power_feed"           TEXT NOT NULL,
    "b_interface"            TEXT NOT NULL,
    "b_power_port"           TEXT NOT NULL,
    "b_power_outlet"         TEXT NOT NULL,
    "b_power_feed"           TEXT NOT NULL,
    "description"            TEXT NOT NULL
);
CREATE INDEX cables_label ON "cables" ("label", "uid");
CREATE INDEX cables_type ON "cables" ("type", "label", "uid");
CREATE INDEX cables_status ON "cables" ("status", "label", "uid");
CREATE INDEX cables_a_interface ON "cables" ("a_interface", "label", "uid");
CREATE INDEX cables_a_power_port ON "cables" ("a_power_port", "label", "uid");
CREATE INDEX cables_a_power_outlet ON "cables" ("a_power_outlet", "label", "uid");
CREATE INDEX cables_a_power_feed ON "cables" ("a_power_feed", "label", "uid");
CREATE INDEX cables_b_interface ON "cables" ("b_interface", "label", "uid");
CREATE INDEX cables_b_power_port ON "cables" ("b_power_port", "label", "uid");
CREATE INDEX cables_b_power_outlet ON "cables" ("b_power_outlet", "label", "uid");
CREATE INDEX cables_b_power_feed ON "cables" ("b_power_feed", "label", "uid");

CREATE TABLE "module_types" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "manufacturer"           TEXT NOT NULL,
    "model"                  TEXT NOT NULL,
    "slug"                   TEXT NOT NULL,
    "kind"                   TEXT NOT NULL,
    "part_number"            TEXT NOT NULL,
    "weight_grams"           BIGINT NOT NULL,
    "attributes"             TEXT,
    "description"            TEXT NOT NULL
);
CREATE INDEX module_types_manufacturer ON "module_types" ("manufacturer", "uid");
CREATE INDEX module_types_model ON "module_types" ("model", "uid");
CREATE UNIQUE INDEX module_types_key ON "module_types" ("slug");
CREATE INDEX module_types_kind ON "module_types" ("kind", "uid");

CREATE TABLE "module_bays" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "device"                 TEXT NOT NULL,
    "name"                   TEXT NOT NULL,
    "position"               TEXT NOT NULL,
    "kind"                   TEXT NOT NULL,
    "description"            TEXT NOT NULL
);
CREATE INDEX module_bays_device ON "module_bays" ("device", "name", "uid");
CREATE INDEX module_bays_name ON "module_bays" ("name", "uid");
CREATE INDEX module_bays_kind ON "module_bays" ("kind", "name", "uid");

CREATE TABLE "vlans" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "site"                   TEXT NOT NULL,
    "vid"                    BIGINT NOT NULL,
    "name"                   TEXT NOT NULL,
    "status"                 TEXT NOT NULL,
    "role"                   TEXT NOT NULL,
    "description"            TEXT NOT NULL
);
CREATE INDEX vlans_site ON "vlans" ("site", "uid");
CREATE INDEX vlans_vid ON "vlans" ("vid", "uid");
CREATE INDEX vlans_name ON "vlans" ("name", "uid");
CREATE INDEX vlans_status ON "vlans" ("status", "uid");

CREATE TABLE "prefixes" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "prefix"                 TEXT NOT NULL,
    "site"                   TEXT NOT NULL,
    "vlan"                   TEXT NOT NULL,
    "status"                 TEXT NOT NULL,
    "role"                   TEXT NOT NULL,
    "is_pool"                BOOLEAN NOT NULL,
    "description"            TEXT NOT NULL
);
CREATE UNIQUE INDEX prefixes_key ON "prefixes" ("prefix");
CREATE INDEX prefixes_site ON "prefixes" ("site", "uid");
CREATE INDEX prefixes_vlan ON "prefixes" ("vlan", "uid");
CREATE INDEX prefixes_status ON "prefixes" ("status", "uid");

CREATE TABLE "move_plans" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "name"                   TEXT NOT NULL,
    "status"                 TEXT NOT NULL,
    "from_site"              TEXT NOT NULL,
    "to_site"                TEXT NOT NULL,
    "shipment"               TEXT NOT NULL,
    "planned_on"             TEXT NOT NULL,
    "description"            TEXT NOT NULL
);
CREATE UNIQUE INDEX move_plans_key ON "move_plans" ("name");
CREATE INDEX move_plans_status ON "move_plans" ("status", "uid");
CREATE INDEX move_plans_from_site ON "move_plans" ("from_site", "uid");
CREATE INDEX move_plans_to_site ON "move_plans" ("to_site", "uid");
CREATE INDEX move_plans_shipment ON "move_plans" ("shipment", "uid");
CREATE INDEX move_plans_planned_on ON "move_plans" ("planned_on", "uid");

CREATE TABLE "moves" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "move_plan"              TEXT NOT NULL,
    "device"                 TEXT NOT NULL,
    "state"                  TEXT NOT NULL,
    "to_site"                TEXT NOT NULL,
    "to_location"            TEXT NOT NULL,
    "to_rack"                TEXT NOT NULL,
    "to_position"            DOUBLE PRECISION,
    "to_face"                TEXT NOT NULL,
    "to_slot"                BIGINT NOT NULL,
    "to_side"                TEXT NOT NULL,
    "from"                   TEXT,
    "done_at"                TIMESTAMP,
    "done_by"                TEXT NOT NULL,
    "note"                   TEXT NOT NULL
);
CREATE INDEX moves_created_at ON "moves" ("created_at", "uid");
CREATE INDEX moves_move_plan ON "moves" ("move_plan", "uid");
CREATE INDEX moves_device ON "moves" ("device", "uid");
CREATE INDEX moves_state ON "moves" ("state", "uid");
CREATE INDEX moves_to_site ON "moves" ("to_site", "uid");
CREATE INDEX moves_to_location ON "moves" ("to_location", "uid");
CREATE INDEX moves_to_rack ON "moves" ("to_rack", "uid");

CREATE TABLE "stock_takes" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "name"                   TEXT NOT NULL,
    "state"                  TEXT NOT NULL,
    "site"                   TEXT NOT NULL,
    "location"               TEXT NOT NULL,
    "rack"                   TEXT NOT NULL,
    "closed_at"              TIMESTAMP,
    "notes"                  TEXT NOT NULL
);
CREATE UNIQUE INDEX stock_takes_key ON "stock_takes" ("name");
CREATE INDEX stock_takes_state ON "stock_takes" ("state", "uid");
CREATE INDEX stock_takes_site ON "stock_takes" ("site", "uid");
CREATE INDEX stock_takes_location ON "stock_takes" ("location", "uid");
CREATE INDEX stock_takes_rack ON "stock_takes" ("rack", "uid");
CREATE INDEX stock_takes_closed_at ON "stock_takes" ("closed_at", "uid");

CREATE TABLE "stock_take_items" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "stock_take"             TEXT NOT NULL,
    "asset"                  TEXT NOT NULL,
    "code"                   TEXT NOT NULL,
    "result"                 TEXT NOT NULL,
    "scanned_at"             TIMESTAMP,
    "place"                  TEXT NOT NULL,
    "note"                   TEXT NOT NULL,
    "by"                     TEXT NOT NULL
);
CREATE INDEX stock_take_items_created_at ON "stock_take_items" ("created_at", "uid");
CREATE INDEX stock_take_items_stock_take ON "stock_take_items" ("stock_take", "created_at", "uid");
CREATE INDEX stock_take_items_asset ON "stock_take_items" ("asset", "created_at", "uid");
CREATE INDEX stock_take_items_code ON "stock_take_items" ("code", "created_at", "uid");
CREATE INDEX stock_take_items_result ON "stock_take_items" ("result", "created_at", "uid");
CREATE INDEX stock_take_items_scanned_at ON "stock_take_items" ("scanned_at", "uid");

