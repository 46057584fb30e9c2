package proxy

import "encoding/binary"

// What is read of a WebSocket's frames (RFC 6455, section 5.2).
const (
	opcodeClose   = 8
	opcodeMask    = 0x0f
	maskedFlag    = 0x80
	length16      = 126 // the next 2 bytes have the length
	length64      = 127 // the next 8
	maxHeader     = 14
	finalClose    = 0x80 | opcodeClose
	codeGoingAway = 1001
)

// frames follows one direction of a WebSocket, to know where a frame may be put in between.
type frames struct {
	header [maxHeader]byte
	have   int    // bytes of the header so far
	left   uint64 // bytes of the frame still to come
	closed bool   // a close frame began
}

// between tells whether the last frame has ended and no other has begun.
func (f *frames) between() bool { return f.have == 0 && f.left == 0 }

// pass follows b, and returns how much of it that is: all, or up to the end of the first frame.
func (f *frames) pass(b []byte, first bool) int {
	for i := 0; i < len(b); {
		if f.left > 0 {
			n := min(f.left, uint64(len(b)-i))
			f.left -= n
			i += int(n)
		} else {
			f.header[f.have] = b[i]
			f.have++
			i++
			f.begin()
		}
		if first && f.between() {
			return i
		}
	}
	return len(b)
}

// begin begins the frame when its header is complete.
func (f *frames) begin() {
	size := 2
	if f.have < size {
		return
	}
	length := f.header[1] &^ maskedFlag
	switch length {
	case length16:
		size += 2
	case length64:
		size += 8
	}
	extended := size
	if f.header[1]&maskedFlag != 0 {
		size += 4
	}
	if f.have < size {
		return
	}
	switch length {
	case length16:
		f.left = uint64(binary.BigEndian.Uint16(f.header[2:extended]))
	case length64:
		f.left = binary.BigEndian.Uint64(f.header[2:extended])
	default:
		f.left = uint64(length)
	}
	f.have = 0
	f.closed = f.closed || f.header[0]&opcodeMask == opcodeClose
}

// goingAway is the close frame that an endpoint sends which goes away.
func goingAway(why string) []byte {
	frame := []byte{finalClose, byte(2 + len(why))}
	frame = binary.BigEndian.AppendUint16(frame, codeGoingAway)
	return append(frame, why...)
}
