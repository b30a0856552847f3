//go:build invariants

package invariants

// Enabled says whether costly self-checks run. It is true under the build tag "invariants".
const Enabled = true
