//go:build linux

package nstest

import (
	"fmt"
	"os/exec"
	"strings"
)

// tool runs a program with some input. Its error holds what the program says of it.
func tool(input, name string, args ...string) error {
	_, err := output(input, name, args...)
	return err
}

// output is tool for what the program prints.
func output(input, name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	c.Stdin = strings.NewReader(input)
	var out, errOut strings.Builder
	c.Stdout, c.Stderr = &out, &errOut
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(errOut.String()))
	}
	return out.String(), nil
}
