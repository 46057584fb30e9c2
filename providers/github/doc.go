// Package github says on GitHub what Drover does: statuses on commits, comments below pull requests, issues, and pull
// requests that revert. It also hears what people say there, by webhook and by asking.
//
// Everything that is created carries a marker, so that what was created and not recorded is found again. Nothing is sent
// that is so already. What GitHub says of its limits is heeded for all calls at once, and an hourly budget keeps Drover
// from using up what others with the same credentials need; both fail with an error that says when to try again.
//
//	forge, err := github.New(github.Config{Repository: "shop/releases", Token: github.Fixed(token)})
package github
