// Package nginx steers NGINX by a file that its configuration includes, and a reload. NGINX 1.18 or later.
//
// The file holds, for each release, an upstream for each track and a variable that names one of them for every request:
//
//	http {
//	  include /etc/nginx/drover/edge.conf;
//	  server {
//	    location / { proxy_pass http://$drover_checkout_api; }
//	  }
//	}
//
// The variable is made by split_clients of $request_id, which is another one for every request: shares are drawn, in
// steps of 0.01%. A new file is tested with the whole configuration before it is loaded, and the old one is put back when
// the test fails. A small server in the file, on an address that only Drover needs, says which one the running workers
// have loaded: a split is in effect when they say so.
//
// Users are kept on their track by a cookie, which names the rollout and the track: a map of it comes before the draw.
//
// Copies of requests are drawn in the server of the users, and handed to another server of the same NGINX, which answers at
// once and asks the canary then. NGINX takes no further request of a user's connection before what it mirrored has ended; so
// nobody waits for a canary.
//
// Where NGINX is told to, it sends a line for each request to an address that Drover hears on: which upstream answered, with
// what status, and how long it took. Nothing else of it tells the tracks apart.
//
// The splits themselves are kept in the file, so that another Drover finds them. What a person changes in it is found by
// its checksum and reported; the next split overwrites it.
package nginx
