// Package core is consensus as a pure function.
package core
