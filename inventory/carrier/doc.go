// Package carrier reads what carriers and trackers say about parcels: the webhooks of EasyPost, AfterShip and Shippo, the answers of an
// address that is asked (those shapes, DHL's, UPS's, Karrio's and a plain one of our own), and e-mails and texts that somebody pastes.
//
// Every reader returns plain inventory.TrackingEvent values in berth's statuses, which are EasyPost's words; whose parcel they are about is
// not known here. What a carrier sends is hostile input: it is bounded, and never believed without its signature.
package carrier
