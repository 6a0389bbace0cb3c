package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/agentrun-dev/agentrun/models"
)

// Forms of results.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatJSONL = "jsonl"
)

func (a *app) checkFormat() error {
	switch a.format {
	case formatTable, formatJSON, formatJSONL:
		return nil
	}
	return usagef("the output %q is not known; use table, json or jsonl", a.format)
}

// printJSON prints a value on one line.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// printText prints text for people, and a newline where it has none.
func (a *app) printText(text string) error {
	text = printable(text)
	if text != "" && text[len(text)-1] != '\n' {
		text += "\n"
	}
	if _, err := io.WriteString(a.out, text); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// printList prints items: one array, a line each, or a table whose rows row gives.
func printList[T any](a *app, items []T, head []string, row func(T) []string) error {
	switch a.format {
	case formatJSON:
		if items == nil {
			items = []T{}
		}
		return a.printJSON(items)
	case formatJSONL:
		for _, item := range items {
			if err := a.printJSON(item); err != nil {
				return err
			}
		}
		return nil
	}
	rows := [][]string{head}
	for _, item := range items {
		rows = append(rows, row(item))
	}
	return printTable(a.out, rows)
}

// cellLimit bounds a cell of a table, in bytes.
const cellLimit = 80

func printTable(w io.Writer, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(tw, "\t")
			}
			fmt.Fprint(tw, oneLine(cell, cellLimit))
		}
		fmt.Fprintln(tw)
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// oneLine makes a text fit into a line for people.
func oneLine(s string, limit int) string { return models.OneLine(printable(s), limit) }
