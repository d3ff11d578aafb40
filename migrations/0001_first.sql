-- The first schema. It is the same text for SQLite and PostgreSQL: TEXT, BIGINT, DOUBLE PRECISION, BOOLEAN and TIMESTAMP (always UTC) mean
-- the same on both. A column is named as the JSON field of its noun; what refers to nothing is '' and not NULL, NULL is "not known".
-- References are checked by the store, within the transaction that makes them. Every index ends in uid, which settles the order of a
-- page among equal values.

-- +goose Up

CREATE TABLE "sites" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "name"               TEXT NOT NULL,
    "slug"               TEXT NOT NULL,
    "status"             TEXT NOT NULL,
    "facility"           TEXT NOT NULL,
    "physical_address"   TEXT NOT NULL,
    "shipping_address"   TEXT NOT NULL,
    "time_zone"          TEXT NOT NULL,
    "description"        TEXT NOT NULL,
    "default_profile"    TEXT NOT NULL,
    "supply_voltage_v"   BIGINT NOT NULL
);
CREATE UNIQUE INDEX sites_key ON "sites" ("slug");
CREATE INDEX sites_default_profile ON "sites" ("default_profile", "uid");

CREATE TABLE "locations" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "site"               TEXT NOT NULL,
    "parent"             TEXT NOT NULL,
    "name"               TEXT NOT NULL,
    "slug"               TEXT NOT NULL,
    "status"             TEXT NOT NULL,
    "description"        TEXT NOT NULL
);
CREATE UNIQUE INDEX locations_key ON "locations" ("slug");
CREATE INDEX locations_site ON "locations" ("site", "uid");
CREATE INDEX locations_parent ON "locations" ("parent", "uid");

CREATE TABLE "racks" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "site"               TEXT NOT NULL,
    "location"           TEXT NOT NULL,
    "name"               TEXT NOT NULL,
    "facility_id"        TEXT NOT NULL,
    "status"             TEXT NOT NULL,
    "u_height"           BIGINT NOT NULL,
    "starting_unit"      BIGINT NOT NULL,
    "desc_units"         BOOLEAN NOT NULL,
    "width"              BIGINT NOT NULL,
    "serial"             TEXT NOT NULL,
    "asset_tag"          TEXT NOT NULL,
    "description"        TEXT NOT NULL
);
CREATE UNIQUE INDEX racks_key ON "racks" ("name");
CREATE INDEX racks_site ON "racks" ("site", "uid");
CREATE INDEX racks_location ON "racks" ("location", "uid");

CREATE TABLE "manufacturers" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "name"               TEXT NOT NULL,
    "slug"               TEXT NOT NULL,
    "description"        TEXT NOT NULL
);
CREATE UNIQUE INDEX manufacturers_key ON "manufacturers" ("slug");

CREATE TABLE "device_types" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "manufacturer"       TEXT NOT NULL,
    "model"              TEXT NOT NULL,
    "slug"               TEXT NOT NULL,
    "part_number"        TEXT NOT NULL,
    "u_height"           DOUBLE PRECISION NOT NULL,
    "is_full_depth"      BOOLEAN NOT NULL,
    "weight_grams"       BIGINT NOT NULL,
    "description"        TEXT NOT NULL
);
CREATE UNIQUE INDEX device_types_key ON "device_types" ("slug");
CREATE INDEX device_types_manufacturer ON "device_types" ("manufacturer", "uid");

CREATE TABLE "assets" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "asset_tag"          TEXT NOT NULL,
    "kind"               TEXT NOT NULL,
    "name"               TEXT NOT NULL,
    "manufacturer"       TEXT NOT NULL,
    "device_type"        TEXT NOT NULL,
    "part_number"        TEXT NOT NULL,
    "serial"             TEXT NOT NULL,
    "system_uuid"        TEXT NOT NULL,
    "custody"            TEXT NOT NULL,
    "disposition"        TEXT NOT NULL,
    "condition"          TEXT NOT NULL,
    "acquired_at"        TIMESTAMP,
    "site"               TEXT NOT NULL,
    "location"           TEXT NOT NULL,
    "notes"              TEXT NOT NULL
);
CREATE UNIQUE INDEX assets_key ON "assets" ("asset_tag");
CREATE INDEX assets_manufacturer ON "assets" ("manufacturer", "uid");
CREATE INDEX assets_device_type ON "assets" ("device_type", "uid");
CREATE INDEX assets_site ON "assets" ("site", "uid");
CREATE INDEX assets_location ON "assets" ("location", "uid");
CREATE INDEX assets_serial ON "assets" ("serial", "uid");
CREATE INDEX assets_system_uuid ON "assets" ("system_uuid", "uid");
CREATE INDEX assets_custody ON "assets" ("custody", "uid");

CREATE TABLE "images" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "name"               TEXT NOT NULL,
    "os"                 TEXT NOT NULL,
    "version"            TEXT NOT NULL,
    "arch"               TEXT NOT NULL,
    "format"             TEXT NOT NULL,
    "digest"             TEXT NOT NULL,
    "tree_hash"          TEXT NOT NULL,
    "size_bytes"         BIGINT NOT NULL,
    "stored_bytes"       BIGINT NOT NULL,
    "state"              TEXT NOT NULL,
    "problem"            TEXT NOT NULL,
    "verified"           BOOLEAN NOT NULL,
    "source"             TEXT NOT NULL,
    "boot_modes"         TEXT NOT NULL,
    "description"        TEXT NOT NULL
);
CREATE UNIQUE INDEX images_key ON "images" ("name");
CREATE INDEX images_digest ON "images" ("digest", "uid");

CREATE TABLE "profiles" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "name"               TEXT NOT NULL,
    "slug"               TEXT NOT NULL,
    "role"               TEXT NOT NULL,
    "image"              TEXT NOT NULL,
    "hostname_template"  TEXT NOT NULL,
    "user"               TEXT NOT NULL,
    "ssh_keys"           TEXT NOT NULL,
    "dns"                TEXT NOT NULL,
    "ntp"                TEXT NOT NULL,
    "network"            TEXT NOT NULL,
    "user_data"          TEXT NOT NULL,
    "description"        TEXT NOT NULL
);
CREATE UNIQUE INDEX profiles_key ON "profiles" ("slug");
CREATE INDEX profiles_image ON "profiles" ("image", "uid");

CREATE TABLE "devices" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "name"               TEXT NOT NULL,
    "asset"              TEXT NOT NULL,
    "device_type"        TEXT NOT NULL,
    "role"               TEXT NOT NULL,
    "status"             TEXT NOT NULL,
    "site"               TEXT NOT NULL,
    "location"           TEXT NOT NULL,
    "rack"               TEXT NOT NULL,
    "position"           DOUBLE PRECISION,
    "face"               TEXT NOT NULL,
    "provision_state"    TEXT NOT NULL,
    "state_reason"       TEXT NOT NULL,
    "operation"          TEXT NOT NULL,
    "profile"            TEXT NOT NULL,
    "image"              TEXT NOT NULL,
    "power"              TEXT NOT NULL,
    "netboot_offer"      BOOLEAN NOT NULL,
    "offered_until"      TIMESTAMP,
    "manufacturer"       TEXT NOT NULL,
    "product"            TEXT NOT NULL,
    "serial"             TEXT NOT NULL,
    "system_uuid"        TEXT NOT NULL,
    "arch"               TEXT NOT NULL,
    "boot_mode"          TEXT NOT NULL,
    "cpu_cores"          BIGINT NOT NULL,
    "memory_mib"         BIGINT NOT NULL,
    "disk_bytes"         BIGINT NOT NULL,
    "seen_at"            TIMESTAMP,
    "host_keys"          TEXT NOT NULL,
    "addresses"          TEXT NOT NULL,
    "notes"              TEXT NOT NULL
);
CREATE UNIQUE INDEX devices_key ON "devices" ("name");
CREATE INDEX devices_asset ON "devices" ("asset", "uid");
CREATE INDEX devices_device_type ON "devices" ("device_type", "uid");
CREATE INDEX devices_site ON "devices" ("site", "uid");
CREATE INDEX devices_location ON "devices" ("location", "uid");
CREATE INDEX devices_rack ON "devices" ("rack", "uid");
CREATE INDEX devices_operation ON "devices" ("operation", "uid");
CREATE INDEX devices_profile ON "devices" ("profile", "uid");
CREATE INDEX devices_image ON "devices" ("image", "uid");
CREATE INDEX devices_provision_state_name ON "devices" ("provision_state", "name", "uid");
CREATE INDEX devices_role_name ON "devices" ("role", "name", "uid");
CREATE INDEX devices_serial ON "devices" ("serial", "uid");
CREATE INDEX devices_system_uuid ON "devices" ("system_uuid", "uid");
CREATE INDEX devices_seen_at ON "devices" ("seen_at", "uid");

CREATE TABLE "components" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "device"             TEXT NOT NULL,
    "asset"              TEXT NOT NULL,
    "kind"               TEXT NOT NULL,
    "slot"               TEXT NOT NULL,
    "manufacturer"       TEXT NOT NULL,
    "model"              TEXT NOT NULL,
    "part_number"        TEXT NOT NULL,
    "serial"             TEXT NOT NULL,
    "wwn"                TEXT NOT NULL,
    "size_bytes"         BIGINT NOT NULL,
    "firmware"           TEXT NOT NULL,
    "disk_role"          TEXT NOT NULL,
    "written_image"      TEXT NOT NULL,
    "attributes"         TEXT
);
CREATE INDEX components_device_slot ON "components" ("device", "slot", "uid");
CREATE INDEX components_asset ON "components" ("asset", "uid");
CREATE INDEX components_slot ON "components" ("slot", "uid");
CREATE INDEX components_serial ON "components" ("serial", "uid");
CREATE INDEX components_wwn ON "components" ("wwn", "uid");

CREATE TABLE "interfaces" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "device"             TEXT NOT NULL,
    "name"               TEXT NOT NULL,
    "kind"               TEXT NOT NULL,
    "mac"                TEXT NOT NULL,
    "enabled"            BOOLEAN NOT NULL,
    "mtu"                BIGINT NOT NULL,
    "parent"             TEXT NOT NULL,
    "vlan"               BIGINT NOT NULL,
    "boot_from"          BOOLEAN NOT NULL,
    "neighbor"           TEXT NOT NULL,
    "description"        TEXT NOT NULL
);
CREATE INDEX interfaces_device_name ON "interfaces" ("device", "name", "uid");
CREATE INDEX interfaces_name ON "interfaces" ("name", "uid");
CREATE INDEX interfaces_mac ON "interfaces" ("mac", "uid");
CREATE INDEX interfaces_parent ON "interfaces" ("parent", "uid");

CREATE TABLE "bmcs" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "device"             TEXT NOT NULL,
    "kind"               TEXT NOT NULL,
    "address"            TEXT NOT NULL,
    "username"           TEXT NOT NULL,
    "password"           TEXT NOT NULL,
    "system_id"          TEXT NOT NULL,
    "pin"                TEXT NOT NULL,
    "mac"                TEXT NOT NULL,
    "firmware"           TEXT NOT NULL,
    "state"              TEXT NOT NULL,
    "problem"            TEXT NOT NULL,
    "seen_at"            TIMESTAMP
);
CREATE INDEX bmcs_device ON "bmcs" ("device", "uid");
CREATE INDEX bmcs_address ON "bmcs" ("address", "uid");
CREATE INDEX bmcs_mac ON "bmcs" ("mac", "uid");
CREATE INDEX bmcs_created_at ON "bmcs" ("created_at", "uid");

CREATE TABLE "subnets" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "name"               TEXT NOT NULL,
    "prefix"             TEXT NOT NULL,
    "site"               TEXT NOT NULL,
    "interface"          TEXT NOT NULL,
    "mode"               TEXT NOT NULL,
    "enrol"              BOOLEAN NOT NULL,
    "pools"              TEXT NOT NULL,
    "gateway"            TEXT NOT NULL,
    "dns"                TEXT NOT NULL,
    "ntp"                TEXT NOT NULL,
    "domain"             TEXT NOT NULL,
    "lease_seconds"      BIGINT NOT NULL,
    "boot_url"           TEXT NOT NULL,
    "vlan"               BIGINT NOT NULL,
    "description"        TEXT NOT NULL
);
CREATE UNIQUE INDEX subnets_key ON "subnets" ("name");
CREATE INDEX subnets_site ON "subnets" ("site", "uid");

CREATE TABLE "addresses" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "address"            TEXT NOT NULL,
    "subnet"             TEXT NOT NULL,
    "interface"          TEXT NOT NULL,
    "dns_name"           TEXT NOT NULL,
    "description"        TEXT NOT NULL
);
CREATE UNIQUE INDEX addresses_key ON "addresses" ("address");
CREATE INDEX addresses_subnet ON "addresses" ("subnet", "uid");
CREATE INDEX addresses_interface ON "addresses" ("interface", "uid");

CREATE TABLE "accounts" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "name"               TEXT NOT NULL,
    "full_name"          TEXT NOT NULL,
    "email"              TEXT NOT NULL,
    "level"              TEXT NOT NULL,
    "disabled"           BOOLEAN NOT NULL,
    "password_hash"      TEXT NOT NULL,
    "password_until"     TIMESTAMP,
    "seen_at"            TIMESTAMP
);
CREATE UNIQUE INDEX accounts_key ON "accounts" ("name");

CREATE TABLE "tokens" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "name"               TEXT NOT NULL,
    "account"            TEXT NOT NULL,
    "level"              TEXT NOT NULL,
    "prefix"             TEXT NOT NULL,
    "hash"               TEXT NOT NULL,
    "expires_at"         TIMESTAMP,
    "used_at"            TIMESTAMP
);
CREATE INDEX tokens_account ON "tokens" ("account", "uid");
CREATE UNIQUE INDEX tokens_hash ON "tokens" ("hash");
CREATE INDEX tokens_created_at ON "tokens" ("created_at", "uid");

CREATE TABLE "sessions" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "account"            TEXT NOT NULL,
    "hash"               TEXT NOT NULL,
    "expires_at"         TIMESTAMP NOT NULL,
    "agent"              TEXT NOT NULL
);
CREATE INDEX sessions_account ON "sessions" ("account", "uid");
CREATE UNIQUE INDEX sessions_hash ON "sessions" ("hash");
CREATE INDEX sessions_expires_at ON "sessions" ("expires_at", "uid");
CREATE INDEX sessions_created_at ON "sessions" ("created_at", "uid");

CREATE TABLE "observations" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "device"             TEXT NOT NULL,
    "source"             TEXT NOT NULL,
    "facts"              TEXT
);
CREATE INDEX observations_device_created_at ON "observations" ("device", "created_at", "uid");
CREATE INDEX observations_created_at ON "observations" ("created_at", "uid");

CREATE TABLE "identifiers" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "device"             TEXT NOT NULL,
    "kind"               TEXT NOT NULL,
    "value"              TEXT NOT NULL
);
CREATE INDEX identifiers_device_kind ON "identifiers" ("device", "kind", "uid");
CREATE INDEX identifiers_kind_value ON "identifiers" ("kind", "value", "uid");

CREATE TABLE "deviations" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "device"             TEXT NOT NULL,
    "part"               TEXT NOT NULL,
    "field"              TEXT NOT NULL,
    "intended"           TEXT NOT NULL,
    "observed"           TEXT NOT NULL,
    "source"             TEXT NOT NULL,
    "verdict"            TEXT NOT NULL,
    "note"               TEXT NOT NULL,
    "by"                 TEXT NOT NULL
);
CREATE INDEX deviations_device_created_at ON "deviations" ("device", "created_at", "uid");
CREATE INDEX deviations_created_at ON "deviations" ("created_at", "uid");

CREATE TABLE "operations" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "kind"               TEXT NOT NULL,
    "device"             TEXT NOT NULL,
    "state"              TEXT NOT NULL,
    "sentence"           TEXT NOT NULL,
    "owner"              TEXT NOT NULL,
    "owner_level"        TEXT NOT NULL,
    "why"                TEXT NOT NULL,
    "args"               TEXT,
    "step_name"          TEXT NOT NULL,
    "step_index"         BIGINT NOT NULL,
    "step_count"         BIGINT NOT NULL,
    "deadline"           TIMESTAMP NOT NULL,
    "next_try_at"        TIMESTAMP NOT NULL,
    "started_at"         TIMESTAMP,
    "ended_at"           TIMESTAMP,
    "problem"            TEXT NOT NULL,
    "cancel_by"          TEXT NOT NULL,
    "lease_holder"       TEXT NOT NULL,
    "lease_until"        TIMESTAMP NOT NULL,
    "fence"              BIGINT NOT NULL
);
CREATE INDEX operations_device_created_at ON "operations" ("device", "created_at", "uid");
CREATE INDEX operations_state_next_try_at ON "operations" ("state", "next_try_at", "uid");
CREATE INDEX operations_lease_holder ON "operations" ("lease_holder", "uid");
CREATE INDEX operations_ended_at ON "operations" ("ended_at", "uid");
CREATE INDEX operations_created_at ON "operations" ("created_at", "uid");

CREATE TABLE "steps" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "operation"          TEXT NOT NULL,
    "position"           BIGINT NOT NULL,
    "name"               TEXT NOT NULL,
    "state"              TEXT NOT NULL,
    "attempt"            BIGINT NOT NULL,
    "sentence"           TEXT NOT NULL,
    "phase"              TEXT NOT NULL,
    "done"               BIGINT NOT NULL,
    "total"              BIGINT NOT NULL,
    "started_at"         TIMESTAMP,
    "ended_at"           TIMESTAMP,
    "deadline"           TIMESTAMP,
    "problem"            TEXT NOT NULL,
    "task"               TEXT NOT NULL,
    "assignment"         TEXT NOT NULL,
    "data"               TEXT
);
CREATE UNIQUE INDEX steps_operation_position ON "steps" ("operation", "position");

CREATE TABLE "boot_attempts" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "device"             TEXT NOT NULL,
    "mac"                TEXT NOT NULL,
    "arch"               TEXT NOT NULL,
    "offered"            TEXT NOT NULL,
    "outcome"            TEXT NOT NULL,
    "sentence"           TEXT NOT NULL,
    "ended_at"           TIMESTAMP,
    "token_hash"         TEXT NOT NULL,
    "token_used_at"      TIMESTAMP,
    "agent_key"          TEXT NOT NULL,
    "operation"          TEXT NOT NULL
);
CREATE INDEX boot_attempts_device_created_at ON "boot_attempts" ("device", "created_at", "uid");
CREATE INDEX boot_attempts_mac_created_at ON "boot_attempts" ("mac", "created_at", "uid");
CREATE INDEX boot_attempts_token_hash ON "boot_attempts" ("token_hash", "uid");
CREATE INDEX boot_attempts_agent_key ON "boot_attempts" ("agent_key", "uid");
CREATE INDEX boot_attempts_operation ON "boot_attempts" ("operation", "uid");
CREATE INDEX boot_attempts_created_at ON "boot_attempts" ("created_at", "uid");

CREATE TABLE "events" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "at"                 TIMESTAMP NOT NULL,
    "device"             TEXT NOT NULL,
    "attempt"            TEXT NOT NULL,
    "operation"          TEXT NOT NULL,
    "source"             TEXT NOT NULL,
    "level"              TEXT NOT NULL,
    "text"               TEXT NOT NULL
);
CREATE INDEX events_device_at ON "events" ("device", "at", "uid");
CREATE INDEX events_operation_at ON "events" ("operation", "at", "uid");
CREATE INDEX events_attempt_at ON "events" ("attempt", "at", "uid");
CREATE INDEX events_at ON "events" ("at", "uid");

CREATE TABLE "changes" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "request"            TEXT NOT NULL,
    "actor"              TEXT NOT NULL,
    "account"            TEXT NOT NULL,
    "why"                TEXT NOT NULL,
    "action"             TEXT NOT NULL,
    "noun"               TEXT NOT NULL,
    "object"             TEXT NOT NULL,
    "display"            TEXT NOT NULL,
    "before"             TEXT,
    "after"              TEXT,
    "undoes"             TEXT NOT NULL
);
CREATE INDEX changes_object_created_at ON "changes" ("object", "created_at", "uid");
CREATE INDEX changes_request ON "changes" ("request", "uid");
CREATE INDEX changes_created_at ON "changes" ("created_at", "uid");

CREATE TABLE "settings" (
    "uid"                TEXT PRIMARY KEY,
    "revision"           BIGINT NOT NULL,
    "created_at"         TIMESTAMP NOT NULL,
    "updated_at"         TIMESTAMP NOT NULL,
    "name"               TEXT NOT NULL,
    "value"              TEXT NOT NULL
);
CREATE UNIQUE INDEX settings_key ON "settings" ("name");
