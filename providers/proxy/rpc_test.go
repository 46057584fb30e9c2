package proxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/strategy"
)

// rpcServer is an endpoint that speaks gRPC. It answers a message with its body in capitals, and the message "fail"
// with an end of its stream.
type rpcServer struct {
	grpc_testing.UnimplementedTestServiceServer
	alloc string
}

func (s *rpcServer) FullDuplexCall(stream grpc_testing.TestService_FullDuplexCallServer) error {
	if err := stream.SetHeader(metadata.Pairs("alloc", s.alloc)); err != nil {
		return err
	}
	stream.SetTrailer(metadata.Pairs("last", "word"))
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch text := string(in.GetPayload().GetBody()); text {
		case "fail":
			return status.Error(codes.Internal, "as asked")
		case "refuse":
			return status.Error(codes.InvalidArgument, "as asked")
		default:
			out := &grpc_testing.StreamingOutputCallResponse{Payload: &grpc_testing.Payload{Body: []byte(strings.ToUpper(text))}}
			if err := stream.Send(out); err != nil {
				return err
			}
		}
	}
}

func startRPCServer(t *testing.T, alloc string) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	grpc_testing.RegisterTestServiceServer(s, &rpcServer{alloc: alloc})
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(s.Stop)
	return &server{endpoint: strategy.Endpoint{Alloc: alloc, Address: listener.Addr().String()}}
}

func TestRPC(t *testing.T) {
	p := serve(t, proxy.Options{Routes: []proxy.Route{{Release: "shop", H2C: true}}}, nil)
	p.Set([]strategy.Split{split(strategy.Percent(50), []*server{startRPCServer(t, "s")}, []*server{startRPCServer(t, "c")})})
	connection, err := grpc.NewClient(p.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	client, seen := grpc_testing.NewTestServiceClient(connection), map[string]int{}
	call := func(ctx context.Context, texts ...string) error {
		t.Helper()
		stream, err := client.FullDuplexCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			in := &grpc_testing.StreamingOutputCallRequest{Payload: &grpc_testing.Payload{Body: []byte(text)}}
			if err := stream.Send(in); err != nil {
				t.Fatal(err)
			}
			// The answer to each comes before the next is sent.
			out, err := stream.Recv()
			if err != nil {
				return err
			}
			if got := string(out.GetPayload().GetBody()); got != strings.ToUpper(text) {
				t.Errorf("%q was answered with %q", text, got)
			}
		}
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
			return err
		}
		header, err := stream.Header()
		if err != nil || len(header.Get("alloc")) != 1 || len(stream.Trailer().Get("last")) != 1 {
			t.Fatalf("header %v, trailer %v (%v), want those of the endpoint", header, stream.Trailer(), err)
		}
		seen[header.Get("alloc")[0]]++
		return nil
	}
	for range 20 {
		if err := call(t.Context(), "one", "two"); err != nil {
			t.Fatal(err)
		}
	}
	if seen["s"] != 10 || seen["c"] != 10 {
		t.Errorf("20 calls at 50%% were answered by %v, want 10 each", seen)
	}
	// Which track each of these two is for changes with the place in the sequence: both are counted.
	p.Set([]strategy.Split{split(0, []*server{startRPCServer(t, "s2")}, nil)})
	for text, want := range map[string]codes.Code{"fail": codes.Internal, "refuse": codes.InvalidArgument} {
		if err := call(t.Context(), "fine", text); status.Code(err) != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	for _, want := range []string{
		`{code="2xx",endpoint="POST /grpc.testing.TestService/FullDuplexCall",release="shop",track="stable"} 10`,
		`{code="2xx",endpoint="POST /grpc.testing.TestService/FullDuplexCall",release="shop",track="canary"} 10`,
		`{code="5xx",endpoint="POST /grpc.testing.TestService/FullDuplexCall",release="shop",track="stable"} 1`,
		`{code="4xx",endpoint="POST /grpc.testing.TestService/FullDuplexCall",release="shop",track="stable"} 1`,
	} {
		p.metric(t, "drover_proxy_requests_total"+want)
	}
}

func TestRPCWithoutAnEndpoint(t *testing.T) {
	p := serve(t, proxy.Options{Routes: []proxy.Route{{Release: "shop", H2C: true}}}, nil)
	p.Set([]strategy.Split{split(0, []*server{dead(t, "gone")}, nil)})
	connection, err := grpc.NewClient(p.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := grpc_testing.NewTestServiceClient(connection).EmptyCall(t.Context(), &grpc_testing.Empty{}); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v, want that it is unavailable", err)
	}
}
