package durable_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/durable"
)

// One step after the other.
func Example() {
	sayHello := durable.NewActivity("sayHello", func(ctx context.Context, city string) (string, error) {
		return "Hello " + city + "!", nil
	})
	greetCities := durable.NewOrchestration("greetCities", func(ctx *durable.Context, cities []string) ([]string, error) {
		first, err := sayHello.Call(ctx, cities[0])
		if err != nil {
			return nil, err
		}
		second, err := sayHello.Call(ctx, cities[1])
		if err != nil {
			return nil, err
		}
		return []string{first, second}, nil
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", greetCities, sayHello) // or "sqlite:greet.db", to last
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	id, err := greetCities.Schedule(ctx, rt.Client(), []string{"Tokyo", "Oslo"})
	if err != nil {
		log.Fatal(err)
	}
	greetings, err := greetCities.Wait(ctx, rt.Client(), id)
	fmt.Println(greetings, err)
	// Output: [Hello Tokyo! Hello Oslo!] <nil>
}
