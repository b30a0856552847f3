package manifest

import "fmt"

// Report is what Open found. The zero Report of a file is that of a sound one.
type Report struct {
	// File is the name of the manifest within its directory.
	File string
	// Frames counts the frames used, the image's included.
	Frames int
	// Torn says that the last edit was cut: torn in the writing, or damaged since. When it
	// had been acknowledged it is lost.
	Torn bool
	// Unnamed says that frames are lost whose logs are not known: logs may be missing here.
	// Every log that may be hit is in Damaged. It survives reopening until Edit.Repaired.
	Unnamed bool
	// Damaged are the logs that are damaged, by what was found now or earlier, ascending by id.
	Damaged []Damaged
	// Faults are the places that did not verify, whether or not it cost anything, in file
	// order. At most MaxFaults are kept.
	Faults []Fault
}

// MaxFaults bounds Report.Faults.
const MaxFaults = 1000

// Fault is a place in the file that did not verify.
type Fault struct {
	// Offset is in bytes from the start of the file.
	Offset int64
	What   string
}

// String names the fault for reports.
func (f Fault) String() string { return fmt.Sprintf("%s at byte %d", f.What, f.Offset) }

// Clean reports whether nothing was wrong.
func (r *Report) Clean() bool {
	return !r.Torn && !r.Unnamed && len(r.Damaged) == 0 && len(r.Faults) == 0
}

func (r *Report) fault(offset int64, format string, args ...any) {
	if len(r.Faults) < MaxFaults {
		r.Faults = append(r.Faults, Fault{Offset: offset, What: fmt.Sprintf(format, args...)})
	}
}
