package inventory

import (
	"encoding/json"
	"time"
)

// What can be attached to an object of any noun. It names its object by noun and uid; the store deletes it with the object, and its
// entries in the change log are the object's history too.

// Document is a file: an invoice, a waybill, a photo. Its bytes are kept once, under their digest.
type Document struct {
	Meta
	Name        string `json:"name" berth:"list,filter,search,required"`
	Kind        string `json:"kind" berth:"list,filter,enum=other|invoice|waybill|proof_of_delivery|letter|policy|contract|customs|photo|report|certificate|acknowledgement|manual"`
	MediaType   string `json:"media_type" berth:"list,readonly"`
	Digest      string `json:"digest" berth:"filter,readonly" help:"sha256 of its bytes."`
	SizeBytes   int64  `json:"size_bytes" berth:"list,readonly,unit=B"`
	Thumbnail   string `json:"thumbnail" berth:"readonly" help:"Digest of a small picture of it, where it is a picture."`
	Date        Date   `json:"date" berth:"list,filter" help:"The date on it."`
	Description string `json:"description" berth:"long"`
	UploadedBy  string `json:"uploaded_by" berth:"list,readonly"`
}

// Attachment ties a document to an object.
type Attachment struct {
	Meta
	Document UID    `json:"document" berth:"list,filter,required,ref=document"`
	Noun     string `json:"noun" berth:"list,filter,required"`
	Object   UID    `json:"object" berth:"list,filter,required"`
	Caption  string `json:"caption" berth:"list"`
}

// Tag is a word to group things by.
type Tag struct {
	Meta
	Name        string `json:"name" berth:"list,filter,search,required"`
	Slug        string `json:"slug" berth:"list,filter,search,required"`
	Color       string `json:"color" help:"Six hexadecimal digits."`
	Description string `json:"description" berth:"list"`
}

// Tagging ties a tag to an object.
type Tagging struct {
	Meta
	Tag    UID    `json:"tag" berth:"list,filter,required,ref=tag"`
	Noun   string `json:"noun" berth:"list,filter,required"`
	Object UID    `json:"object" berth:"list,filter,required"`
}

// CustomField is a field that the people of this installation added to a noun.
type CustomField struct {
	Meta
	Name        string   `json:"name" berth:"list,filter,search,required" help:"Lower case, as in an address: support_contract."`
	Label       string   `json:"label" berth:"list"`
	Noun        string   `json:"noun" berth:"list,filter,required"`
	Kind        string   `json:"kind" berth:"list,enum=text|int|float|bool|date|url|choice"`
	Choices     []string `json:"choices" gorm:"serializer:json"`
	Required    bool     `json:"required"`
	Money       bool     `json:"money" help:"Shown only to those who may see money."`
	Description string   `json:"description"`
}

// CustomValue is what an object has in a custom field.
type CustomValue struct {
	Meta
	CustomField UID    `json:"custom_field" berth:"list,filter,required,ref=custom-field"`
	Noun        string `json:"noun" berth:"list,filter,required"`
	Object      UID    `json:"object" berth:"list,filter,required"`
	Value       string `json:"value" berth:"list,filter,search"`
}

// Comment is a dated note in an object's journal.
type Comment struct {
	Meta
	Noun   string `json:"noun" berth:"list,filter,required"`
	Object UID    `json:"object" berth:"list,filter,required"`
	Kind   string `json:"kind" berth:"list,filter,enum=info|success|warning|danger"`
	Text   string `json:"text" berth:"list,search,long,required"`
	By     string `json:"by" berth:"list,readonly"`
}

// SavedFilter is a list as somebody wants to see it again: its address is its meaning.
type SavedFilter struct {
	Meta
	Name    string `json:"name" berth:"list,filter,search,required"`
	Slug    string `json:"slug" berth:"list,filter,required"`
	Noun    string `json:"noun" berth:"list,filter,required" help:"The list it belongs to."`
	Query   string `json:"query" berth:"list,required" help:"What stands behind the question mark of the list's address: filters, order, columns."`
	Account UID    `json:"account" berth:"filter,ref=account"`
	Shared  bool   `json:"shared" berth:"list,filter"`
}

// Webhook tells another system about changes. Body and X-Hook-Signature (hex HMAC-SHA512 of the body) are as NetBox sends them.
type Webhook struct {
	Meta
	Name       string   `json:"name" berth:"list,filter,search,required"`
	URL        string   `json:"url" berth:"list,required"`
	Secret     Secret   `json:"secret"`
	NounNames  []string `json:"noun_names" gorm:"serializer:json" berth:"list" help:"One per line; empty is every noun."`
	Actions    []string `json:"actions" gorm:"serializer:json" help:"create, update, delete; empty is all three."`
	Conditions string   `json:"conditions" berth:"long" help:"One per line, all must hold: status = failed, before.status != failed, custody changed."`
	SendMoney  bool     `json:"send_money" help:"Leave amounts in what is sent."`
	Enabled    bool     `json:"enabled" berth:"list,filter"`
	Problem    string   `json:"problem" berth:"list,volatile"`
}

// WebhookDelivery is one message to one webhook, kept until it arrived or was given up.
type WebhookDelivery struct {
	Meta
	Webhook  UID             `json:"webhook" berth:"list,filter,owned,required,ref=webhook"`
	Change   UID             `json:"change" berth:"filter"`
	State    string          `json:"state" berth:"list,filter,enum=pending|delivered|failed"`
	Attempts int             `json:"attempts" berth:"list"`
	NextAt   time.Time       `json:"next_at" berth:"filter"`
	SentAt   *time.Time      `json:"sent_at" berth:"list" help:"When it arrived."`
	Status   int             `json:"status" berth:"list" help:"The HTTP status of the last answer."`
	Problem  string          `json:"problem" berth:"list"`
	Body     json.RawMessage `json:"body" gorm:"serializer:json"`
}

// Notification is what goes loud: a silent parcel, a claim near its end, a machine in quarantine. It stays open until the cause is gone or
// a person put it aside.
type Notification struct {
	Meta
	Kind     string `json:"kind" berth:"list,filter,required" help:"silent_parcel, deadline, quarantine, deviation, webhook, …"`
	Severity string `json:"severity" berth:"list,filter,enum=info|warning|urgent"`
	Title    string `json:"title" berth:"list,search,required"`
	Text     string `json:"text" berth:"long"`
	Noun     string `json:"noun" berth:"filter"`
	Object   UID    `json:"object" berth:"filter"`
	DueOn    Date   `json:"due_on" berth:"list,filter"`
	State    string `json:"state" berth:"list,filter,enum=open|put_aside|gone"`
	// Key makes one notification of many reports of the same thing.
	Key           string     `json:"key" berth:"filter"`
	PutAsideUntil Date       `json:"put_aside_until"`
	By            string     `json:"by"`
	MailedAt      *time.Time `json:"mailed_at"`
}

// ImportRun is one import or apply of a directory: what came in under one request, and how far it got.
type ImportRun struct {
	Meta
	Source  string `json:"source" berth:"list,filter,required" help:"netbox, snipeit, csv, yaml, …"`
	Name    string `json:"name" berth:"list,search" help:"The file or directory."`
	Digest  string `json:"digest" berth:"filter"`
	Commit  string `json:"commit" berth:"list,filter" help:"The git commit that was applied."`
	State   string `json:"state" berth:"list,filter,enum=running|done|failed|undone"`
	Request UID    `json:"request" berth:"filter"`
	Total   int    `json:"total" berth:"list"`
	Done    int    `json:"done" berth:"list"`
	Created int    `json:"created" berth:"list"`
	Updated int    `json:"updated" berth:"list"`
	// Unchanged are those that were as the source has them already.
	Unchanged int    `json:"unchanged"`
	Problem   string `json:"problem" berth:"long"`
	Why       string `json:"why"`
	By        string `json:"by" berth:"list"`
}
