// Package disk keeps Drover's records in a folder, one JSON file a release, for when there is no Nomad to keep them.
//
// It decides how a record is written so that it is there as a whole or not at all, and who wins when two write. What a
// record says is left to the caller.
//
//	ledger, err := disk.NewLedger("/var/lib/drover/ledger")
//	records, err := ledger.Load(ctx)
//
// Beside them Inputs keeps what decisions were made on, so that they can be made again.
//
// Invariants:
//
//   - a reader sees a record as it was before a write or after it, whenever the writer dies;
//   - of two writers that hold the same index, in one process or in two, one wins and the other is told;
//   - a file that cannot be read is never overwritten, and hides no other record.
//
// The folder must be on a file system of this machine: locks and renames do not hold over a network.
package disk
