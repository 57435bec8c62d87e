// A consumer of franz-go: `groupmember BOOTSTRAP GROUP TOPIC CONFIG`, the last in JSON: group.instance.id and
// group.protocol (consumer: KIP-848). A topic that begins with ^ is a regular expression. Prints what it is assigned (JSON)
// whenever that changes, and TOPIC PARTITION OFFSET of each record. Ends on SIGTERM, and leaves its group.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type place struct {
	topic     string
	partition int32
}

// What the member has; printed whenever it changes.
type mine struct {
	sync.Mutex
	has map[place]bool
}

func (m *mine) change(partitions map[string][]int32, gains bool) {
	m.Lock()
	defer m.Unlock()
	for topic, numbers := range partitions {
		for _, number := range numbers {
			if gains {
				m.has[place{topic, number}] = true
			} else {
				delete(m.has, place{topic, number})
			}
		}
	}
	all := make([][]any, 0, len(m.has))
	for it := range m.has {
		all = append(all, []any{it.topic, it.partition})
	}
	sort.Slice(all, func(a, b int) bool { return fmt.Sprint(all[a]) < fmt.Sprint(all[b]) })
	text, _ := json.Marshal(all)
	fmt.Println(string(text))
}

func main() {
	bootstrap, group, topic := os.Args[1], os.Args[2], os.Args[3]
	config := map[string]string{}
	if err := json.Unmarshal([]byte(os.Args[4]), &config); err != nil {
		panic(err)
	}
	held := &mine{has: map[place]bool{}}
	changed := func(gains bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) { held.change(partitions, gains) }
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(bootstrap, ",")...),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AutoCommitInterval(500 * time.Millisecond),
		kgo.OnPartitionsAssigned(changed(true)),
		kgo.OnPartitionsRevoked(changed(false)),
		kgo.OnPartitionsLost(changed(false)),
		kgo.WithLogger(kgo.BasicLogger(os.Stderr, kgo.LogLevelInfo, nil)),
	}
	if strings.HasPrefix(topic, "^") {
		options = append(options, kgo.ConsumeRegex(), kgo.MetadataMaxAge(5*time.Second))
	}
	if config["group.protocol"] == "consumer" {
		options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	} else {
		options = append(options, kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.SessionTimeout(6*time.Second))
	}
	if instance := config["group.instance.id"]; instance != "" {
		options = append(options, kgo.InstanceID(instance))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		fetches.EachError(func(topic string, partition int32, err error) { fmt.Fprintln(os.Stderr, topic, partition, err) })
		fetches.EachRecord(func(it *kgo.Record) { fmt.Println(it.Topic, it.Partition, it.Offset) })
	}
	leaving, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := client.CommitUncommittedOffsets(leaving); err != nil {
		fmt.Fprintln(os.Stderr, "commit:", err)
	}
	// A static member says that it will be back; by Close alone it says nothing.
	if err := client.LeaveGroupContext(leaving); err != nil {
		fmt.Fprintln(os.Stderr, "leave:", err)
	}
	client.Close()
}
