// What cnitool does, by the same library: ADD, CHECK, DEL or the cached result of a configuration list, its plugins found in
// CNI_PATH. Arguments: verb, list file, container id, namespace, interface; the capabilities' arguments are JSON in CAP_ARGS.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/libcni"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	list, err := libcni.ConfListFromFile(args[1])
	if err != nil {
		return err
	}
	var capabilities map[string]interface{}
	if text := os.Getenv("CAP_ARGS"); text != "" {
		if err := json.Unmarshal([]byte(text), &capabilities); err != nil {
			return err
		}
	}
	library := libcni.NewCNIConfig(filepath.SplitList(os.Getenv("CNI_PATH")), nil)
	attachment := &libcni.RuntimeConf{ContainerID: args[2], NetNS: args[3], IfName: args[4], CapabilityArgs: capabilities}
	switch args[0] {
	case "ADD":
		result, err := library.AddNetworkList(context.TODO(), list, attachment)
		if err != nil {
			return err
		}
		return result.Print()
	case "CHECK":
		return library.CheckNetworkList(context.TODO(), list, attachment)
	case "DEL":
		return library.DelNetworkList(context.TODO(), list, attachment)
	case "VALIDATE":
		_, err := library.ValidateNetworkList(context.TODO(), list)
		return err
	}
	return fmt.Errorf("unknown verb %s", args[0])
}
