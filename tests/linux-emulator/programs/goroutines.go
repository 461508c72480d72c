// Goroutines, maps, the collector, timers, JSON, and a nil pointer that is recovered from.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"sort"
	"sync"
	"time"
)

type node struct{ Left, Right *node }

func tree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{tree(depth - 1), tree(depth - 1)}
}

func (n *node) count() int {
	if n.Left == nil {
		return 1
	}
	return 1 + n.Left.count() + n.Right.count()
}

func main() {
	input, _ := io.ReadAll(os.Stdin)
	var mutex sync.Mutex
	var group sync.WaitGroup
	squares := map[string]int{}
	for i := 0; i < 100; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			mutex.Lock()
			squares[fmt.Sprint(i)] = i * i
			mutex.Unlock()
		}(i)
	}
	group.Wait()
	text, _ := json.Marshal(map[string]any{"input": string(input), "squares": squares})
	fmt.Println(string(text))
	for i := 0; i < 20; i++ {
		fmt.Print(tree(12).count(), " ")
	}
	runtime.GC()
	ticker := time.NewTicker(time.Millisecond)
	for i := 0; i < 3; i++ {
		<-ticker.C
	}
	spun := make(chan int)
	go func() {
		sum := 0
		for i := 0; i < 100000000; i++ {
			sum += i & 1
		}
		spun <- sum
	}()
	select {
	case <-time.After(time.Minute):
	case sum := <-spun:
		fmt.Println("spun", sum)
	}
	func() {
		defer func() { fmt.Println("recovered:", recover()) }()
		var nothing *node
		fmt.Println(nothing.Left)
	}()
	keys := []string{}
	for key := range squares {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	fmt.Fprintln(os.Stderr, "log", len(keys))
	os.WriteFile("/tmp/goroutines", []byte("written"), 0o600)
	read, err := os.ReadFile("/tmp/goroutines")
	os.Remove("/tmp/goroutines")
	fmt.Println(string(read), err)
	os.Exit(5)
}
