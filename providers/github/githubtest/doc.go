// Package githubtest is a GitHub to test against, and to show in a demo what would be said on the real one. It keeps
// statuses, issues, comments, reactions and pull requests of one repository, whose commits are in a real bare Git
// repository; it enforces the hourly limits, answers what did not change with 304, protects branches, and fails where it is
// told to. Beside the API it has what people do: open and merge pull requests, write comments, close issues.
//
// That it answers as GitHub does is checked by package openapi, against GitHub's own description of its API.
//
//	hub, err := githubtest.New(githubtest.Options{Repository: "shop/releases", Dir: bare})
//	forge, err := github.New(github.Config{Repository: "shop/releases", Token: github.Fixed(githubtest.Token), Transport: hub.Transport()})
package githubtest
