package main

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

const engineText = `Measures one row. With -dir the engine works in that directory, which is made if need be and
kept, so that other tools can look at it meanwhile; otherwise in a new one that is removed.`

func runEngine(ctx context.Context, args []string) error {
	r := newRow(100, 256)
	r.Suite = "engine"
	fs := newFlags("engine", engineText)
	r.storeFlags(fs)
	r.loadFlags(fs)
	fs.StringVar(&r.Dir, "dir", "", "the engine's directory")
	fs.StringVar(&r.CPUProfile, "cpuprofile", "", "write the engine's CPU profile to this file")
	fs.StringVar(&r.MemProfile, "memprofile", "", "write the engine's allocation profile to this file")
	jsonFile := fs.String("json", "", "write one JSON object per line to this file, - is standard output")
	duration := fs.Duration("duration", 5*time.Second, "measured time of the engine")
	slices := fs.Int("slices", 3, "turns that engine, device and floor take")
	noFloor := fs.Bool("nofloor", false, "leave the floor out")
	noDevice := fs.Bool("nodevice", false, "leave the device's limit out")
	noFio := fs.Bool("nofio", false, "do not ask fio, although it is installed")
	if err := parse(fs, args); err != nil {
		return err
	}
	if err := r.validate(); err != nil {
		return err
	}
	parent := ""
	if r.Dir != "" {
		dir, err := filepath.Abs(r.Dir)
		if err != nil {
			return err
		}
		r.Dir, parent = dir, filepath.Dir(dir)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	w, err := newWorkspace(parent)
	if err != nil {
		return err
	}
	defer w.remove()
	p := newPlan(duration.Seconds() * 3 / float64(*slices))
	p.slices = *slices
	s := &session{dir: w.dir, plan: p, progress: newProgress(1), noFloor: *noFloor, noDevice: *noDevice,
		fio: !*noFio && !*noDevice && haveFio()}
	return s.run(ctx, []row{r}, os.Stdout, *jsonFile)
}
