package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"berth/api"
)

func backupCommand(o *clientOptions) *cobra.Command {
	var documents bool
	c := &cobra.Command{
		Use: "backup [FILE]", Short: "Keep a copy of the whole record in a file", Args: cobra.MaximumNArgs(1),
		Long: `Writes the whole record, with the bytes of its documents, into one file, as it is at one moment, while the server serves. The file is
checked by its digests when it has arrived. It restores into SQLite and PostgreSQL alike. Secrets are in it sealed: keep the server's key
or a recovery key elsewhere, because without one the passwords in it are lost. Images are not in it. It needs an administrator.

Exit codes: 0 written and checked, 1 something failed, 2 the command line is wrong, 3 the server refused.`,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			name := "berth-backup-" + time.Now().UTC().Format("20060102-150405") + ".tar.gz"
			if len(args) == 1 {
				name = args[0]
			}
			parts, err := fetchBackup(c, client, documents, name)
			if err != nil {
				return explain(err)
			}
			if o.json {
				return printJSON(c.OutOrStdout(), map[string]any{"file": name, "parts": parts})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %d parts, checked\n", name, parts)
			return err
		},
	}
	c.Flags().BoolVar(&documents, "documents", true, "the bytes of documents too")
	return c
}

// fetchBackup writes the file under another name first: what has the right name is whole.
func fetchBackup(c *cobra.Command, client *api.Client, documents bool, name string) (parts int, err error) {
	file, err := os.OpenFile(name+".part", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(name+".part"))
		}
	}()
	defer file.Close()
	if err := client.Backup(c.Context(), documents, file); err != nil {
		return 0, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	if parts, err = checkBackup(file); err != nil {
		return 0, fmt.Errorf("the backup did not arrive whole: %w", err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return 0, err
	}
	return parts, os.Rename(name+".part", name)
}

// checkBackup holds every part of an archive against the digests at its end, without the server's help.
func checkBackup(r io.Reader) (parts int, err error) {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return 0, err
	}
	in := tar.NewReader(zip)
	var sums strings.Builder
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return 0, errors.New("its end is missing")
		}
		if err != nil {
			return 0, err
		}
		if header.Name == "SHA256SUMS" {
			want, err := io.ReadAll(in)
			if err == nil && string(want) != sums.String() {
				err = errors.New("its digests do not fit")
			}
			return parts, err
		}
		h := sha256.New()
		if _, err := io.Copy(h, in); err != nil {
			return 0, err
		}
		fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(h.Sum(nil)), header.Name)
		parts++
	}
}

func restoreCommand(o *clientOptions) *cobra.Command {
	var replace bool
	var why string
	c := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in place of the record", Args: cobra.ExactArgs(1),
		Long: `Puts a backup in place of the record of a running server: all of it or, if anything is wrong, nothing. The archive is held against its
digests first. A record that holds something is refused without --replace; so are a backup of a newer version of berth, and one whose secrets the
server's key cannot open. Everybody has to log in again, with the accounts and tokens of the backup. Work on machines that was going on
when the backup was made is ended, not continued.

Exit codes: 0 restored, 1 something failed, 2 the command line is wrong, 3 the server refused.`,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			file, err := os.Open(args[0])
			if err != nil {
				return usageError(err, "")
			}
			defer file.Close()
			made, err := client.Restore(c.Context(), file, replace, why)
			if err != nil {
				return explain(err)
			}
			if o.json {
				return printJSON(c.OutOrStdout(), made)
			}
			rows := int64(0)
			for _, n := range made.Rows {
				rows += n
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "restored the backup of %s: %d rows, %d documents\n", made.MadeAt.Format(time.RFC3339), rows, made.Documents)
			return err
		},
	}
	c.Flags().BoolVar(&replace, "replace", false, "lose what the record holds now")
	c.Flags().StringVar(&why, "why", "", "reason for the change log")
	return c
}

func forgetCommand(o *clientOptions) *cobra.Command {
	var why string
	c := &cobra.Command{
		Use: "forget CONTACT", Short: "Blank a person in the record and in its history", Args: cobra.ExactArgs(1),
		Long: `Blanks a contact, by uid: name, mail address, telephone, address and notes, in the record, in every entry of the change log that
copied them, and in messages that wait to be sent. That there was a contact stays, with what refers to it: who signed is then "(forgotten)".
It cannot be undone. Older backups and exports still hold the person: delete those too.

Exit codes: 0 forgotten, 1 something failed, 2 the command line is wrong, 3 the server refused.`,
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			blank, err := client.Forget(c.Context(), args[0], why)
			if err != nil {
				return explain(err)
			}
			if o.json {
				return printJSON(c.OutOrStdout(), blank)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "contact %s is forgotten\n", blank.UID)
			return err
		},
	}
	c.Flags().StringVar(&why, "why", "", "reason for the change log; name nobody in it")
	return c
}

func custodyCommand(o *clientOptions) *cobra.Command {
	c := &cobra.Command{Use: "custody", Short: "The chain of custody"}
	c.AddCommand(&cobra.Command{
		Use: "verify", Short: "Walk along the chain of custody and name the first link that does not hold", Args: cobra.NoArgs,
		Long: `Each entry of the chain of custody holds the hash of the one before it. This walks along all of them. Keep the last hash elsewhere
(on a letter, in a mail): it proves later that nothing up to it was changed.

Exit codes: 0 the chain holds, 1 it does not, or something failed, 2 the command line is wrong, 3 the server refused.`,
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := o.client()
			if err != nil {
				return err
			}
			report, err := client.VerifyCustody(c.Context())
			if err != nil {
				return explain(err)
			}
			if o.json {
				err = printJSON(c.OutOrStdout(), report)
			} else {
				_, err = fmt.Fprintf(c.OutOrStdout(), "%d links hold; the last hash is %s\n", report.Links, report.Hash)
			}
			if err == nil && report.Problem != "" {
				return exitError{err: fmt.Errorf("entry %s: %s", report.Broken, report.Problem), code: exitFailed}
			}
			return err
		},
	})
	return c
}
