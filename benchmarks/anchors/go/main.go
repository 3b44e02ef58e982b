// Worker pools as Go programs have them: a buffered channel with a fixed number of goroutines that read
// from it, and one goroutine per task. See ../README.md for the protocol.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

const buffer = 1024

type task struct {
	run    func(int64) int64
	arg    int64
	result int64
	done   *sync.WaitGroup
}

func (t *task) work() {
	t.result = t.run(t.arg)
	t.done.Done()
}

func noop(int64) int64 { return 0 }

func price(quantity int64) int64 { return quantity*3 + 7 }

func spin(turns int64) int64 {
	x := int64(1)
	for i := int64(0); i < turns; i++ {
		x = (x*1103515245 + 12345) % 2147483648
	}
	return x
}

func tree(depth int64) int64 {
	if depth == 0 {
		return 1
	}
	var done sync.WaitGroup
	done.Add(2)
	left := &task{run: tree, arg: depth - 1, done: &done}
	right := &task{run: tree, arg: depth - 1, done: &done}
	go left.work()
	go right.work()
	done.Wait()
	return left.result + right.result
}

func main() {
	kind, workload := os.Args[1], os.Args[2]
	turns, _ := strconv.ParseInt(os.Args[3], 10, 64)
	workers, _ := strconv.Atoi(os.Args[4])
	run := map[string]func(int64) int64{"noop": noop, "price": price, "spin": spin, "tree": tree}[workload]
	if run == nil {
		fmt.Fprintln(os.Stderr, "no such workload:", workload)
		os.Exit(2)
	}

	queue := make(chan *task, buffer)
	submit := func(t *task) { queue <- t }
	if kind == "goroutine" {
		submit = func(t *task) { go t.work() }
	} else {
		for i := 0; i < workers; i++ {
			go func() {
				for t := range queue {
					t.work()
				}
			}()
		}
	}

	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		n, _ := strconv.Atoi(lines.Text())
		start := time.Now()
		var done sync.WaitGroup
		results := make([]*task, n)
		done.Add(n)
		for i := range results {
			arg := turns
			if workload == "price" {
				arg = int64(i)
			}
			results[i] = &task{run: run, arg: arg, done: &done}
			submit(results[i])
		}
		done.Wait()
		sum := int64(0)
		for _, t := range results {
			sum += t.result
		}
		fmt.Println(time.Since(start).Seconds(), sum)
	}
}
