package proxy

import (
	"net/http"
	"strings"
)

// headerRPC has the status of a gRPC call: in the trailer, or in the head of an answer without a body.
const headerRPC = "Grpc-Status"

// isRPC tells whether an answer is that of a gRPC call: its HTTP status says nothing.
func isRPC(head http.Header) bool {
	kind := head.Get("Content-Type")
	return kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+") || strings.HasPrefix(kind, "application/grpc;")
}

// classRPC is the class of a gRPC call that ended: 5xx for the codes that are the server's fault, 4xx for the others,
// an error when there is none.
func classRPC(response *http.Response) string {
	status := response.Trailer.Get(headerRPC)
	if status == "" {
		status = response.Header.Get(headerRPC)
	}
	switch status {
	case "":
		return classError
	case "0":
		return classes[2]
	case "2", "4", "12", "13", "14", "15": // unknown, deadline exceeded, unimplemented, internal, unavailable, data loss
		return classes[5]
	}
	return classes[4]
}
