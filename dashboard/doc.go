// Package dashboard shows task hubs over HTTP, and lets people and programs act on them: a JSON API
// of instances and requests, plain pages of the runs, of one run with its history, and of the inbox
// with its decisions, and the answers that say whether the server is alive and ready.
//
//	http.ListenAndServe("127.0.0.1:8082", dashboard.New(dashboard.Options{
//		Hubs: dashboard.Clients{"default": rt.Client()},
//	}))
//
// The pages need no script in the browser: they are documents with links and forms. Their routes
// stay, so that a link to a run may be sent to somebody:
//
//	/                           the runs of the hub default
//	/hubs                       the hubs
//	/hubs/HUB/runs              the runs, newest first, with a form to choose among them
//	/hubs/HUB/runs/ID           a run: its state, its parts, its history
//	/hubs/HUB/inbox             what waits for people, with forms to decide
//	/healthz, /readyz           for whatever watches the server
//	/api/v1/hubs/HUB/…          the JSON API, which docs/http-api.md describes
//
// An id may hold any characters; in a path it is escaped as [url.PathEscape] does. Since browsers
// take the ids "." and ".." for directories however they are escaped, /hubs/HUB/runs/?id=ID is the
// same page as /hubs/HUB/runs/ID.
//
// # Safety
//
// What runs hold was written by models, tools and strangers. Pages show it as text only, and make
// characters visible that would turn text around or hide it; long values are cut, with a link to the
// whole of them as plain text. Nothing else than the page's own style may be loaded, and no other
// site may frame a page, send it a form, or reach it under a name of its own (DNS rebinding):
// requests for unknown hosts are refused on a loopback address.
//
// Who may do what is for [Options.Authorize] to say; without it everybody who reaches the handler may
// do everything, which is meant for loopback addresses alone. Limits of time and of connections are
// for the http.Server to set.
package dashboard
