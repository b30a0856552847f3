package browsertest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var screenshot = flag.String("screenshot", "", "directory for pictures of the page")

const patience = 3 * time.Minute

// chromium returns where it is, or skips the test.
func chromium(t *testing.T) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium: neither chromium nor chromium-browser, google-chrome, headless-shell is in the PATH")
	return ""
}

// demo starts three nodes and returns their URLs, by node.
func demo(t *testing.T, ctx context.Context) map[string]string {
	dir := t.TempDir()
	program := filepath.Join(dir, "kv")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	build.Dir = ".." // another module
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := exec.Command(program, "-demo", "-dir", filepath.Join(dir, "demo"))
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	run.Stderr = os.Stderr
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(run.Process.Signal(os.Interrupt), run.Wait()); err != nil {
			t.Error("the demo does not end in order:", err)
		}
	})
	urls := map[string]string{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var node, url string
		if n, _ := fmt.Sscanf(lines.Text(), "node %1s: %s", &node, &url); n == 2 {
			urls[node] = url
		}
		if strings.HasPrefix(lines.Text(), "ready") {
			return urls
		}
	}
	t.Fatal("the demo has ended")
	return nil
}

// browser returns a context in which chromedp acts, in a page of a new browser.
func browser(t *testing.T, ctx context.Context) context.Context {
	o := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.WindowSize(1280, 900),
		chromedp.WSURLReadTimeout(patience))
	if os.Geteuid() == 0 {
		o = append(o, chromedp.NoSandbox) // Chromium's does not work for root
	}
	ctx, stop := chromedp.NewExecAllocator(ctx, o...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	return ctx
}

func contextFor(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// badge is the leader's, in the row of a node.
func badge(node string) string { return fmt.Sprintf(`tr[data-node=%q] .badge.lead`, node) }

// leader asks a node who leads.
func leader(t *testing.T, url string) string {
	answer, err := http.Get(url + "/status.json")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var status struct {
		Self struct{ Leader string }
	}
	if err := json.NewDecoder(answer.Body).Decode(&status); err != nil {
		t.Fatal(err)
	}
	return status.Self.Leader
}

// other is a node that is not the given one.
func other(node string) string {
	if node == "b" {
		return "c"
	}
	return "b"
}

func picture(t *testing.T, ctx context.Context, name string) {
	if *screenshot == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshot, name), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// The button makes another node the leader, and the badge moves there. When leadership moves otherwise, the page shows it by itself.
func TestTransferMovesTheBadge(t *testing.T) {
	chromium(t)
	ctx := contextFor(t)
	urls := demo(t, ctx)
	page := browser(t, ctx)
	first := leader(t, urls["a"])
	second := other(first)
	if err := chromedp.Do(page, chromedp.Navigate(urls["a"]), chromedp.WaitVisible(badge(first))); err != nil {
		t.Fatal(err)
	}
	picture(t, page, "before.png")
	if err := chromedp.Do(page,
		// The script replaces nothing under who is about to press a button.
		chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector('button[data-transfer=%q]').focus()`, second)),
		chromedp.Click(fmt.Sprintf(`button[data-transfer=%q]`, second)),
		chromedp.WaitVisible(badge(second)), chromedp.WaitNotPresent(badge(first)),
		// What stands behind the script is there for as long as the page is not loaded anew.
		chromedp.Evaluate[chromedp.Void](`document.body.dataset.mark = "kept"`),
	); err != nil {
		t.Fatal(err)
	}
	if got := leader(t, urls[second]); got != second {
		t.Errorf("the page shows %s, the node itself %s", second, got)
	}
	answer, err := http.Post(urls["a"]+"/v1/transfer", "application/json", strings.NewReader(fmt.Sprintf(`{"node":%q}`, first)))
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer, err)
	}
	answer.Body.Close()
	if err := chromedp.Do(page, chromedp.WaitVisible(badge(first)), chromedp.WaitNotPresent(badge(second))); err != nil {
		t.Fatal(err)
	}
	if mark, err := chromedp.Run(page, chromedp.Evaluate[string](`document.body.dataset.mark`)); err != nil || mark != "kept" {
		t.Errorf("the page was loaded anew, %q, %v", mark, err)
	}
	picture(t, page, "after.png")
}

// Without scripts the page can be read, and its buttons work.
func TestWithoutScripts(t *testing.T) {
	chromium(t)
	ctx := contextFor(t)
	urls := demo(t, ctx)
	page := browser(t, ctx)
	first := leader(t, urls["a"])
	second := other(first)
	if err := chromedp.Do(page); err != nil { // opens the page
		t.Fatal(err)
	}
	if _, err := chromedp.Call(page, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(page, chromedp.Navigate(urls["a"]), chromedp.WaitVisible(badge(first)),
		chromedp.WaitVisible(`noscript a`), // it is text where scripts run
		chromedp.Click(`form[action="/snapshot"] button`),
		chromedp.WaitVisible(`//td[contains(., "snapshots were asked for")]`),
		chromedp.Click(fmt.Sprintf(`button[data-transfer=%q]`, second)), chromedp.WaitVisible(badge(second)),
	); err != nil {
		t.Fatal(err)
	}
	picture(t, page, "without-scripts.png")
}
