-- Whom we deal with, papers, and what can be attached to anything.

-- +goose Up

CREATE TABLE "organizations" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "name"                   TEXT NOT NULL,
    "slug"                   TEXT NOT NULL,
    "roles"                  TEXT NOT NULL,
    "carrier_code"           TEXT NOT NULL,
    "email"                  TEXT NOT NULL,
    "phone"                  TEXT NOT NULL,
    "website"                TEXT NOT NULL,
    "address"                TEXT NOT NULL,
    "country"                TEXT NOT NULL,
    "tax_id"                 TEXT NOT NULL,
    "eori"                   TEXT NOT NULL,
    "account_no"             TEXT NOT NULL,
    "chase_every_days"       BIGINT NOT NULL,
    "notes"                  TEXT NOT NULL
);
CREATE INDEX organizations_name ON "organizations" ("name", "uid");
CREATE UNIQUE INDEX organizations_key ON "organizations" ("slug");
CREATE INDEX organizations_carrier_code ON "organizations" ("carrier_code", "uid");

CREATE TABLE "contacts" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "name"                   TEXT NOT NULL,
    "organization"           TEXT NOT NULL,
    "role"                   TEXT NOT NULL,
    "email"                  TEXT NOT NULL,
    "phone"                  TEXT NOT NULL,
    "address"                TEXT NOT NULL,
    "notes"                  TEXT NOT NULL,
    "forgotten"              BOOLEAN NOT NULL
);
CREATE INDEX contacts_name ON "contacts" ("name", "uid");
CREATE INDEX contacts_organization ON "contacts" ("organization", "uid");

CREATE TABLE "documents" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "name"                   TEXT NOT NULL,
    "kind"                   TEXT NOT NULL,
    "media_type"             TEXT NOT NULL,
    "digest"                 TEXT NOT NULL,
    "size_bytes"             BIGINT NOT NULL,
    "thumbnail"              TEXT NOT NULL,
    "date"                   TEXT NOT NULL,
    "description"            TEXT NOT NULL,
    "uploaded_by"            TEXT NOT NULL
);
CREATE INDEX documents_created_at ON "documents" ("created_at", "uid");
CREATE INDEX documents_name ON "documents" ("name", "created_at", "uid");
CREATE INDEX documents_kind ON "documents" ("kind", "created_at", "uid");
CREATE INDEX documents_digest ON "documents" ("digest", "created_at", "uid");
CREATE INDEX documents_date ON "documents" ("date", "created_at", "uid");

CREATE TABLE "attachments" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "document"               TEXT NOT NULL,
    "noun"                   TEXT NOT NULL,
    "object"                 TEXT NOT NULL,
    "caption"                TEXT NOT NULL
);
CREATE INDEX attachments_created_at ON "attachments" ("created_at", "uid");
CREATE INDEX attachments_document ON "attachments" ("document", "created_at", "uid");
CREATE INDEX attachments_noun ON "attachments" ("noun", "created_at", "uid");
CREATE INDEX attachments_object ON "attachments" ("object", "created_at", "uid");

CREATE TABLE "tags" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "name"                   TEXT NOT NULL,
    "slug"                   TEXT NOT NULL,
    "color"                  TEXT NOT NULL,
    "description"            TEXT NOT NULL
);
CREATE INDEX tags_name ON "tags" ("name", "uid");
CREATE UNIQUE INDEX tags_key ON "tags" ("slug");

CREATE TABLE "taggings" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "tag"                    TEXT NOT NULL,
    "noun"                   TEXT NOT NULL,
    "object"                 TEXT NOT NULL
);
CREATE INDEX taggings_created_at ON "taggings" ("created_at", "uid");
CREATE INDEX taggings_tag ON "taggings" ("tag", "created_at", "uid");
CREATE INDEX taggings_noun ON "taggings" ("noun", "created_at", "uid");
CREATE INDEX taggings_object ON "taggings" ("object", "created_at", "uid");

CREATE TABLE "custom_fields" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "name"                   TEXT NOT NULL,
    "label"                  TEXT NOT NULL,
    "noun"                   TEXT NOT NULL,
    "kind"                   TEXT NOT NULL,
    "choices"                TEXT NOT NULL,
    "required"               BOOLEAN NOT NULL,
    "money"                  BOOLEAN NOT NULL,
    "description"            TEXT NOT NULL
);
CREATE UNIQUE INDEX custom_fields_key ON "custom_fields" ("name");
CREATE INDEX custom_fields_noun ON "custom_fields" ("noun", "uid");

CREATE TABLE "custom_values" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "custom_field"           TEXT NOT NULL,
    "noun"                   TEXT NOT NULL,
    "object"                 TEXT NOT NULL,
    "value"                  TEXT NOT NULL
);
CREATE INDEX custom_values_created_at ON "custom_values" ("created_at", "uid");
CREATE INDEX custom_values_custom_field ON "custom_values" ("custom_field", "created_at", "uid");
CREATE INDEX custom_values_noun ON "custom_values" ("noun", "created_at", "uid");
CREATE INDEX custom_values_object ON "custom_values" ("object", "created_at", "uid");
CREATE INDEX custom_values_value ON "custom_values" ("value", "created_at", "uid");

CREATE TABLE "comments" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "noun"                   TEXT NOT NULL,
    "object"                 TEXT NOT NULL,
    "kind"                   TEXT NOT NULL,
    "text"                   TEXT NOT NULL,
    "by"                     TEXT NOT NULL
);
CREATE INDEX comments_created_at ON "comments" ("created_at", "uid");
CREATE INDEX comments_noun ON "comments" ("noun", "created_at", "uid");
CREATE INDEX comments_object ON "comments" ("object", "created_at", "uid");
CREATE INDEX comments_kind ON "comments" ("kind", "created_at", "uid");

CREATE TABLE "saved_filters" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "name"                   TEXT NOT NULL,
    "slug"                   TEXT NOT NULL,
    "noun"                   TEXT NOT NULL,
    "query"                  TEXT NOT NULL,
    "account"                TEXT NOT NULL,
    "shared"                 BOOLEAN NOT NULL
);
CREATE INDEX saved_filters_name ON "saved_filters" ("name", "uid");
CREATE UNIQUE INDEX saved_filters_key ON "saved_filters" ("slug");
CREATE INDEX saved_filters_noun ON "saved_filters" ("noun", "uid");
CREATE INDEX saved_filters_account ON "saved_filters" ("account", "uid");

CREATE TABLE "webhooks" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "name"                   TEXT NOT NULL,
    "url"                    TEXT NOT NULL,
    "secret"                 TEXT NOT NULL,
    "noun_names"             TEXT NOT NULL,
    "actions"                TEXT NOT NULL,
    "conditions"             TEXT NOT NULL,
    "send_money"             BOOLEAN NOT NULL,
    "enabled"                BOOLEAN NOT NULL,
    "problem"                TEXT NOT NULL
);
CREATE UNIQUE INDEX webhooks_key ON "webhooks" ("name");

CREATE TABLE "webhook_deliveries" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "webhook"                TEXT NOT NULL,
    "change"                 TEXT NOT NULL,
    "state"                  TEXT NOT NULL,
    "attempts"               BIGINT NOT NULL,
    "next_at"                TIMESTAMP NOT NULL,
    "sent_at"                TIMESTAMP,
    "status"                 BIGINT NOT NULL,
    "problem"                TEXT NOT NULL,
    "body"                   TEXT
);
CREATE INDEX webhook_deliveries_created_at ON "webhook_deliveries" ("created_at", "uid");
CREATE INDEX webhook_deliveries_webhook ON "webhook_deliveries" ("webhook", "created_at", "uid");
CREATE INDEX webhook_deliveries_change ON "webhook_deliveries" ("change", "created_at", "uid");
CREATE INDEX webhook_deliveries_state ON "webhook_deliveries" ("state", "created_at", "uid");
CREATE INDEX webhook_deliveries_next_at ON "webhook_deliveries" ("next_at", "uid");

CREATE TABLE "notifications" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "kind"                   TEXT NOT NULL,
    "severity"               TEXT NOT NULL,
    "title"                  TEXT NOT NULL,
    "text"                   TEXT NOT NULL,
    "noun"                   TEXT NOT NULL,
    "object"                 TEXT NOT NULL,
    "due_on"                 TEXT NOT NULL,
    "state"                  TEXT NOT NULL,
    "key"                    TEXT NOT NULL,
    "put_aside_until"        TEXT NOT NULL,
    "by"                     TEXT NOT NULL,
    "mailed_at"              TIMESTAMP
);
CREATE INDEX notifications_created_at ON "notifications" ("created_at", "uid");
CREATE INDEX notifications_kind ON "notifications" ("kind", "created_at", "uid");
CREATE INDEX notifications_severity ON "notifications" ("severity", "created_at", "uid");
CREATE INDEX notifications_noun ON "notifications" ("noun", "created_at", "uid");
CREATE INDEX notifications_object ON "notifications" ("object", "created_at", "uid");
CREATE INDEX notifications_due_on ON "notifications" ("due_on", "created_at", "uid");
CREATE INDEX notifications_state ON "notifications" ("state", "created_at", "uid");
CREATE INDEX notifications_key ON "notifications" ("key", "created_at", "uid");

CREATE TABLE "import_runs" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "source"                 TEXT NOT NULL,
    "name"                   TEXT NOT NULL,
    "digest"                 TEXT NOT NULL,
    "commit"                 TEXT NOT NULL,
    "state"                  TEXT NOT NULL,
    "request"                TEXT NOT NULL,
    "total"                  BIGINT NOT NULL,
    "done"                   BIGINT NOT NULL,
    "created"                BIGINT NOT NULL,
    "updated"                BIGINT NOT NULL,
    "unchanged"              BIGINT NOT NULL,
    "problem"                TEXT NOT NULL,
    "why"                    TEXT NOT NULL,
    "by"                     TEXT NOT NULL
);
CREATE INDEX import_runs_created_at ON "import_runs" ("created_at", "uid");
CREATE INDEX import_runs_source ON "import_runs" ("source", "uid");
CREATE INDEX import_runs_digest ON "import_runs" ("digest", "uid");
CREATE INDEX import_runs_commit ON "import_runs" ("commit", "uid");
CREATE INDEX import_runs_state ON "import_runs" ("state", "uid");
CREATE INDEX import_runs_request ON "import_runs" ("request", "uid");

