package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/url"
	"os"

	"golang.org/x/net/http/httpproxy"
)

type question struct{ HTTP, HTTPS, No, URL string }

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			panic(err)
		}
		target, err := url.Parse(q.URL)
		if err != nil {
			panic(err)
		}
		config := httpproxy.Config{HTTPProxy: q.HTTP, HTTPSProxy: q.HTTPS, NoProxy: q.No}
		proxy, err := config.ProxyFunc()(target)
		if err != nil || proxy == nil {
			fmt.Println("")
			continue
		}
		fmt.Println(proxy)
	}
}
