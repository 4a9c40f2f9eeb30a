package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"sym-postgres-quickstart/functions/internal/client"
)

// connect finds the API and the caller's credentials.
func (p *program) connect(ctx context.Context, o *options) (*client.Client, error) {
	place, err := p.place(ctx, o)
	if err != nil {
		return nil, err
	}
	endpoint, err := client.ParseEndpoint(place.Address)
	if err != nil {
		return nil, usageError{err.Error()}
	}
	loaded, err := client.LoadAWS(ctx, o.profile)
	if err != nil {
		return nil, err
	}
	region := cmp.Or(client.RegionOf(endpoint), place.Region, loaded.Region)
	if region == "" {
		return nil, fmt.Errorf("the region of %s is not known, since its name contains none: set "+
			"AWS_REGION to the region it was deployed to", endpoint)
	}
	return &client.Client{
		Endpoint: endpoint, Region: region, Credentials: loaded.Credentials,
		HTTP: client.NewHTTP(), Now: p.now, Sleep: p.sleep,
	}, nil
}

// place is where the API is: what the flags say, else the environment, else Terraform in the
// current folder.
func (p *program) place(ctx context.Context, o *options) (client.Place, error) {
	switch api, dir := p.getenv("SYM_API"), p.getenv("SYM_DIR"); {
	case o.api != "":
		return client.Place{Address: o.api}, nil
	case o.dir != "":
		return client.FromTerraform(ctx, o.dir)
	case api != "":
		return client.Place{Address: api}, nil
	case dir != "":
		return client.FromTerraform(ctx, dir)
	case !client.HasTerraform("."):
		return client.Place{}, client.ErrNoEndpoint
	}
	place, err := client.FromTerraform(ctx, ".")
	if err != nil && !errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%w; or give the address with --api or SYM_API", err)
	}
	return place, err
}
