package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// check returns what the files violate, one line each, in the order of the files.
func check(sources []source) []string {
	var found []string
	for i := range sources {
		s := &sources[i]
		found = append(found, checkName(s)...)
		found = append(found, checkSize(s)...)
		found = append(found, checkImports(s)...)
	}
	return append(found, checkDocs(sources)...)
}

func checkName(s *source) (found []string) {
	for _, name := range []string{path.Base(s.dir()), strings.TrimSuffix(s.pkg, "_test")} {
		if slices.Contains(anyNames, name) {
			found = append(found, fmt.Sprintf("%s: the name %s fits any package", s.name, name))
		}
	}
	return slices.Compact(found)
}

func checkSize(s *source) (found []string) {
	if s.lines > maxFileLines {
		found = append(found, fmt.Sprintf("%s: %d lines, at most %d", s.name, s.lines, maxFileLines))
	}
	for _, f := range s.funcs {
		if !s.test && f.lines > maxFunctionLines {
			found = append(found, fmt.Sprintf("%s: function %s has %d lines, at most %d", s.name, f.name, f.lines, maxFunctionLines))
		}
	}
	return found
}

func checkImports(s *source) (found []string) {
	row, ok := rowOf(s.dir())
	if !ok {
		return []string{fmt.Sprintf("%s: package %q has no place in the import table", s.name, s.dir())}
	}
	for _, p := range s.imports {
		if why := refuse(s, row, p); why != "" {
			found = append(found, fmt.Sprintf("%s: imports %s: %s", s.name, p, why))
		}
	}
	return found
}

func rowOf(dir string) (arrows, bool) {
	for _, row := range table {
		below, isPattern := strings.CutSuffix(row.from, "/*")
		if row.from == dir || isPattern && strings.HasPrefix(dir, below+"/") {
			return row, true
		}
	}
	return arrows{}, false
}

// refuse says why the file must not import p, "" when it may.
func refuse(s *source, row arrows, p string) string {
	if rel, ours := strings.CutPrefix(p, module+"/"); ours {
		switch {
		case slices.Contains(row.to, rel):
		case s.test && (rel == s.dir() || slices.Contains(forTests, rel)):
		default:
			return "the arrow is not in the import table"
		}
		return ""
	}
	if first, _, _ := strings.Cut(p, "/"); !strings.Contains(first, ".") {
		if !s.test && slices.ContainsFunc(row.denied, func(d string) bool { return within(p, d) }) {
			return "denied to this package"
		}
		return ""
	}
	return refuseOutside(s, p)
}

func refuseOutside(s *source, p string) string {
	i := slices.IndexFunc(dependencies, func(d dependency) bool { return within(p, d.path) })
	if i < 0 {
		return "the module is not on the list of dependencies"
	}
	switch d := dependencies[i]; {
	case d.only != nil && !slices.Contains(d.only, s.dir()):
		return fmt.Sprintf("only %v may", d.only)
	case d.tag != "" && !s.needs(d.tag):
		return "only under the build tag " + d.tag
	case d.tests && !s.test && s.dir() != "bench":
		return "only tests and bench may"
	}
	return ""
}

// within reports whether package p is d or lies below it.
func within(p, d string) bool { return p == d || strings.HasPrefix(p, d+"/") }

// checkDocs finds packages without a package comment that go doc would print.
func checkDocs(sources []source) (found []string) {
	var dirs []string
	documented := make(map[string]bool)
	for i := range sources {
		s := &sources[i]
		if s.test {
			continue
		}
		if !slices.Contains(dirs, s.dir()) {
			dirs = append(dirs, s.dir())
		}
		if s.pkg == "main" && s.doc != "" || strings.HasPrefix(s.doc, "Package "+s.pkg+" ") {
			documented[s.dir()] = true
		}
	}
	for _, d := range dirs {
		if !documented[d] {
			found = append(found, fmt.Sprintf("%s: no file has a package comment", d))
		}
	}
	return found
}
