package main

import (
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

//go:embed page.html page.css page.js
var pageFiles embed.FS

var pageTemplate = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"size": sizeText, "fresh": fresh, "lag": func(behind, of uint64) uint64 { return of - min(of, behind) },
}).ParseFS(pageFiles, "page.html"))

// pageData is what the page shows.
type pageData struct {
	clusterStatus
	Commit uint64 // the highest that any member knows
	Failed string // why a form did nothing
}

// page serves the status page.
func (s *server) page(w http.ResponseWriter, r *http.Request) error {
	s.render(w, r, http.StatusOK, "")
	return nil
}

func (s *server) render(w http.ResponseWriter, r *http.Request, code int, failed string) {
	d := pageData{clusterStatus: s.clusterStatus(r.Context()), Failed: failed}
	d.Commit = d.Self.Commit
	for _, m := range d.Members {
		if m.Status != nil {
			d.Commit = max(d.Commit, m.Status.Commit)
		}
	}
	var out strings.Builder
	if err := pageTemplate.Execute(&out, d); err != nil {
		writeError(w, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(out.String())) // the client is gone: nobody is left to tell
}

// pageFile serves what the page loads.
func (s *server) pageFile(w http.ResponseWriter, r *http.Request) error {
	http.ServeFileFS(w, r, pageFiles, strings.TrimPrefix(r.URL.Path, "/"))
	return nil
}

// pageTransfer and pageSnapshot are the targets of the page's forms. They lead back to the page.
func (s *server) pageTransfer(w http.ResponseWriter, r *http.Request) error {
	return s.pageAction(w, r, func() error {
		ctx, cancel, err := deadline(r)
		if err != nil {
			return err
		}
		defer cancel()
		_, err = s.handTo(ctx, r.PostFormValue("node"))
		return err
	})
}

func (s *server) pageSnapshot(w http.ResponseWriter, r *http.Request) error {
	return s.pageAction(w, r, func() error {
		ctx, cancel, err := deadline(r)
		if err != nil {
			return err
		}
		defer cancel()
		_, err = s.takeSnapshot(ctx)
		return err
	})
}

func (s *server) pageAction(w http.ResponseWriter, r *http.Request, act func() error) error {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	if err := act(); err != nil {
		s.render(w, r, apiErrorOf(err).Status, err.Error())
		return nil
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// barEntries is how far behind a member is whose bar is empty.
const barEntries = 1000

// fresh is the length of a member's bar, 0 to 100: full when it lags by nothing.
func fresh(behind, of uint64) int {
	return int(100 - 100*min(of-min(of, behind), barEntries)/barEntries)
}

func sizeText(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
