package lane_test

import (
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"plexha/plugin/lane"
)

// burst is how many questions a client of a benchmark has under way.
const burst = 64

// BenchmarkLoopback measures what a question costs client and server together over loopback. The echo is what a
// server in Go costs that does nothing with the packets of its batches but to send them back.
func BenchmarkLoopback(b *testing.B) {
	b.Run("lane", func(b *testing.B) {
		addr := freePort(b, "127.0.0.1")
		var lanes lane.Lanes
		i := start(b, &lanes, config{
			addr: addr, chain: &words{say: "chain"}, plan: lane.Plan{Routes: routesTo(newBlock(b, "192.0.2.1")), Sockets: 1},
		})
		defer i.stop()
		blast(b, addr)
		packets, batches := metric(b, &lanes, "answers_total"), metric(b, &lanes, "batch_size")
		b.ReportMetric(packets/batches, "questions/batch")
	})
	b.Run("lane on all addresses", func(b *testing.B) {
		addr := freePort(b, "")
		_, port, _ := net.SplitHostPort(addr)
		var lanes lane.Lanes
		i := start(b, &lanes, config{
			addr: addr, chain: &words{say: "chain"}, plan: lane.Plan{Routes: routesTo(newBlock(b, "192.0.2.1")), Sockets: 1},
		})
		defer i.stop()
		blast(b, net.JoinHostPort("127.0.0.1", port))
	})
	b.Run("echo", func(b *testing.B) {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			echo(b, pc)
		}()
		blast(b, pc.LocalAddr().String())
		pc.Close()
		<-ended
	})
	b.Run("CoreDNS", func(b *testing.B) {
		addr := freePort(b, "127.0.0.1")
		i := start(b, new(lane.Lanes), config{addr: addr, chain: &words{say: "chain"}})
		defer i.stop()
		blast(b, addr)
	})
}

func echo(tb testing.TB, pc net.PacketConn) {
	conn := ipv4.NewPacketConn(pc)
	messages := make([]ipv4.Message, burst)
	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, 4096)}
	}
	for {
		n, err := conn.ReadBatch(messages, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			tb.Error(err)
			return
		}
		for i := range messages[:n] {
			messages[i].Buffers[0] = messages[i].Buffers[0][:messages[i].N]
		}
		if _, err := conn.WriteBatch(messages[:n], 0); err != nil {
			tb.Error(err)
			return
		}
		for i := range messages[:n] {
			messages[i].Buffers[0] = messages[i].Buffers[0][:4096]
		}
	}
}

// blast asks in bursts from eight clients, and waits for all answers to one.
func blast(b *testing.B, addr string) {
	b.Helper()
	var clients []*ipv4.PacketConn
	for range 8 {
		conn := dial(b, addr).(*net.UDPConn)
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			b.Fatal(err)
		}
		clients = append(clients, ipv4.NewPacketConn(conn))
	}
	out, in := make([]ipv4.Message, burst/len(clients)), make([]ipv4.Message, burst)
	for i := range out {
		out[i].Buffers = [][]byte{packed(b, hot())}
	}
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 512)}
	}
	for b.Loop() {
		for _, c := range clients {
			if n, err := c.WriteBatch(out, 0); err != nil || n != len(out) {
				b.Fatal(n, err)
			}
		}
		for _, c := range clients {
			for got := 0; got < len(out); {
				n, err := c.ReadBatch(in, 0)
				if err != nil {
					b.Fatal(err)
				}
				got += n
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*burst), "ns/question")
}
