package api

import "sym-postgres-quickstart/functions/internal/request"

// Routes are the methods of every path.
func Routes() map[string][]string {
	all := map[string][]string{}
	for path, methods := range routes {
		for method := range methods {
			all[path] = append(all[path], method)
		}
	}
	return all
}

// Statuses are the HTTP statuses of all codes.
func Statuses() map[request.Code]int { return statuses }
