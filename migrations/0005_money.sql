-- How things came, what they are worth, and how they end.

-- +goose Up

CREATE TABLE "acquisitions" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "reference"              TEXT NOT NULL,
    "kind"                   TEXT NOT NULL,
    "status"                 TEXT NOT NULL,
    "organization"           TEXT NOT NULL,
    "contact"                TEXT NOT NULL,
    "title"                  TEXT NOT NULL,
    "description"            TEXT NOT NULL,
    "story"                  TEXT NOT NULL,
    "offered_on"             TEXT NOT NULL,
    "ordered_on"             TEXT NOT NULL,
    "received_on"            TEXT NOT NULL,
    "order_no"               TEXT NOT NULL,
    "invoice_no"             TEXT NOT NULL,
    "currency"               TEXT NOT NULL,
    "total_amount"           BIGINT NOT NULL,
    "donor_stated_value_amount" BIGINT NOT NULL,
    "appraised_value_amount" BIGINT NOT NULL,
    "goods_or_services_given" TEXT NOT NULL,
    "acknowledged_at"        TIMESTAMP,
    "restriction"            TEXT NOT NULL,
    "hold_until"             TEXT NOT NULL,
    "starts_on"              TEXT NOT NULL,
    "ends_on"                TEXT NOT NULL,
    "monthly_amount"         BIGINT NOT NULL,
    "terms"                  TEXT NOT NULL,
    "notes"                  TEXT NOT NULL
);
CREATE UNIQUE INDEX acquisitions_key ON "acquisitions" ("reference");
CREATE INDEX acquisitions_kind ON "acquisitions" ("kind", "uid");
CREATE INDEX acquisitions_status ON "acquisitions" ("status", "uid");
CREATE INDEX acquisitions_organization ON "acquisitions" ("organization", "uid");
CREATE INDEX acquisitions_contact ON "acquisitions" ("contact", "uid");
CREATE INDEX acquisitions_offered_on ON "acquisitions" ("offered_on", "uid");
CREATE INDEX acquisitions_received_on ON "acquisitions" ("received_on", "uid");
CREATE INDEX acquisitions_order_no ON "acquisitions" ("order_no", "uid");
CREATE INDEX acquisitions_invoice_no ON "acquisitions" ("invoice_no", "uid");
CREATE INDEX acquisitions_acknowledged_at ON "acquisitions" ("acknowledged_at", "uid");
CREATE INDEX acquisitions_hold_until ON "acquisitions" ("hold_until", "uid");
CREATE INDEX acquisitions_ends_on ON "acquisitions" ("ends_on", "uid");

CREATE TABLE "cost_lines" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "shipment"               TEXT NOT NULL,
    "acquisition"            TEXT NOT NULL,
    "kind"                   TEXT NOT NULL,
    "description"            TEXT NOT NULL,
    "amount"                 BIGINT NOT NULL,
    "currency"               TEXT NOT NULL,
    "share_by"               TEXT NOT NULL,
    "on_date"                TEXT NOT NULL,
    "invoice_no"             TEXT NOT NULL,
    "recoverable"            BOOLEAN NOT NULL,
    "converted_amount"       BIGINT,
    "converted_currency"     TEXT NOT NULL
);
CREATE INDEX cost_lines_created_at ON "cost_lines" ("created_at", "uid");
CREATE INDEX cost_lines_shipment ON "cost_lines" ("shipment", "uid");
CREATE INDEX cost_lines_acquisition ON "cost_lines" ("acquisition", "uid");
CREATE INDEX cost_lines_kind ON "cost_lines" ("kind", "uid");
CREATE INDEX cost_lines_on_date ON "cost_lines" ("on_date", "uid");

CREATE TABLE "books" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "name"                   TEXT NOT NULL,
    "slug"                   TEXT NOT NULL,
    "method"                 TEXT NOT NULL,
    "life_months"            BIGINT NOT NULL,
    "rate_percent"           DOUBLE PRECISION NOT NULL,
    "salvage_percent"        DOUBLE PRECISION NOT NULL,
    "donated_at"             TEXT NOT NULL,
    "fiscal_year_start"      BIGINT NOT NULL,
    "currency"               TEXT NOT NULL,
    "description"            TEXT NOT NULL
);
CREATE INDEX books_name ON "books" ("name", "uid");
CREATE UNIQUE INDEX books_key ON "books" ("slug");
CREATE INDEX books_method ON "books" ("method", "uid");

CREATE TABLE "book_entries" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "book"                   TEXT NOT NULL,
    "asset"                  TEXT NOT NULL,
    "basis_amount"           BIGINT,
    "salvage_amount"         BIGINT,
    "currency"               TEXT NOT NULL,
    "life_months"            BIGINT NOT NULL,
    "starts_on"              TEXT NOT NULL,
    "frozen_on"              TEXT NOT NULL,
    "frozen_amount"          BIGINT,
    "note"                   TEXT NOT NULL
);
CREATE INDEX book_entries_created_at ON "book_entries" ("created_at", "uid");
CREATE INDEX book_entries_book ON "book_entries" ("book", "created_at", "uid");
CREATE INDEX book_entries_asset ON "book_entries" ("asset", "created_at", "uid");
CREATE INDEX book_entries_frozen_on ON "book_entries" ("frozen_on", "created_at", "uid");

CREATE TABLE "dispositions" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "reference"              TEXT NOT NULL,
    "kind"                   TEXT NOT NULL,
    "state"                  TEXT NOT NULL,
    "on_date"                TEXT NOT NULL,
    "reason"                 TEXT NOT NULL,
    "shipment"               TEXT NOT NULL,
    "recipient"              TEXT NOT NULL,
    "done_by"                TEXT NOT NULL,
    "reversed_at"            TIMESTAMP,
    "reversed_by"            TEXT NOT NULL,
    "reversed_why"           TEXT NOT NULL
);
CREATE UNIQUE INDEX dispositions_key ON "dispositions" ("reference");
CREATE INDEX dispositions_kind ON "dispositions" ("kind", "uid");
CREATE INDEX dispositions_state ON "dispositions" ("state", "uid");
CREATE INDEX dispositions_on_date ON "dispositions" ("on_date", "uid");
CREATE INDEX dispositions_shipment ON "dispositions" ("shipment", "uid");
CREATE INDEX dispositions_recipient ON "dispositions" ("recipient", "uid");

CREATE TABLE "disposition_items" (
    "uid"                    TEXT PRIMARY KEY,
    "revision"               BIGINT NOT NULL,
    "created_at"             TIMESTAMP NOT NULL,
    "updated_at"             TIMESTAMP NOT NULL,
    "disposition"            TEXT NOT NULL,
    "asset"                  TEXT NOT NULL,
    "serial"                 TEXT NOT NULL,
    "book"                   TEXT NOT NULL,
    "basis_amount"           BIGINT NOT NULL,
    "book_amount"            BIGINT NOT NULL,
    "insured_amount"         BIGINT NOT NULL,
    "proceeds_amount"        BIGINT NOT NULL,
    "currency"               TEXT NOT NULL,
    "before"                 TEXT
);
CREATE INDEX disposition_items_created_at ON "disposition_items" ("created_at", "uid");
CREATE INDEX disposition_items_disposition ON "disposition_items" ("disposition", "created_at", "uid");
CREATE INDEX disposition_items_asset ON "disposition_items" ("asset", "created_at", "uid");
CREATE INDEX disposition_items_book ON "disposition_items" ("book", "uid");

