package readers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/smithy-go"
)

// discover asks RDS for the readers of a cluster or instance, and for theirs: an instance's
// replicas may have replicas, and a global database has clusters in other regions.
func discover(ctx context.Context, cloud aws.Config, config Config) ([]Reader, error) {
	w := &walk{cloud: cloud, visited: map[string]bool{}}
	follow, id := w.instance, config.Instance
	if config.Cluster != "" {
		follow, id = w.cluster, config.Cluster
	}
	if err := follow(ctx, id, true); err != nil {
		return nil, err
	}
	return w.found, nil
}

// walk goes from a database to those that replicate from it.
type walk struct {
	cloud   aws.Config
	visited map[string]bool
	found   []Reader
}

// client answers a client for the region that an ARN names, or for the function's own, and
// the identifier without its ARN.
func (w *walk) client(id string) (client *rds.Client, short string) {
	region := w.cloud.Region
	if parsed, err := arn.Parse(id); err == nil {
		region = parsed.Region
		_, id, _ = strings.Cut(parsed.Resource, ":")
	}
	return rds.NewFromConfig(w.cloud, func(o *rds.Options) { o.Region = region }), id
}

// again tells whether a database was visited before, by its ARN.
func (w *walk) again(arn *string) bool {
	key := aws.ToString(arn)
	before := w.visited[key]
	w.visited[key] = true
	return before
}

// cluster adds the members of a cluster, and those that replicate from it. In the database's
// own cluster there is a writer; a cluster that replicates from it has none, whatever RDS
// calls its first member.
func (w *walk) cluster(ctx context.Context, id string, own bool) error {
	client, short := w.client(id)
	answer, err := client.DescribeDBClusters(ctx,
		&rds.DescribeDBClustersInput{DBClusterIdentifier: &short})
	if err != nil || len(answer.DBClusters) == 0 {
		return refused("rds:DescribeDBClusters", "the cluster "+id, err)
	}
	cluster := answer.DBClusters[0]
	if w.again(cluster.DBClusterArn) {
		return nil
	}
	writer := ""
	for _, member := range cluster.DBClusterMembers {
		if own && aws.ToBool(member.IsClusterWriter) {
			writer = aws.ToString(member.DBInstanceIdentifier)
		}
	}
	pages := rds.NewDescribeDBInstancesPaginator(client, &rds.DescribeDBInstancesInput{
		Filters: []types.Filter{{Name: aws.String("db-cluster-id"), Values: []string{short}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return refused("rds:DescribeDBInstances", "the instances of the cluster "+id, err)
		}
		for _, instance := range page.DBInstances {
			// A filter that is not understood would answer all there are.
			if aws.ToString(instance.DBClusterIdentifier) == short {
				w.add(instance, aws.ToString(instance.DBInstanceIdentifier) == writer)
			}
		}
	}
	for _, replica := range cluster.ReadReplicaIdentifiers {
		// Aurora's are clusters, always by their ARN; a Multi-AZ DB cluster's are instances.
		parsed, err := arn.Parse(replica)
		follow := w.instance
		if err == nil && strings.HasPrefix(parsed.Resource, "cluster:") {
			follow = w.cluster
		}
		if err := follow(ctx, replica, false); err != nil {
			return err
		}
	}
	if own && aws.ToString(cluster.GlobalClusterIdentifier) != "" {
		return w.global(ctx, client, *cluster.GlobalClusterIdentifier)
	}
	return nil
}

// global adds the members of the other clusters of an Aurora global database.
func (w *walk) global(ctx context.Context, client *rds.Client, id string) error {
	answer, err := client.DescribeGlobalClusters(ctx,
		&rds.DescribeGlobalClustersInput{GlobalClusterIdentifier: &id})
	if err != nil || len(answer.GlobalClusters) == 0 {
		return refused("rds:DescribeGlobalClusters", "the global database "+id, err)
	}
	for _, member := range answer.GlobalClusters[0].GlobalClusterMembers {
		if w.visited[aws.ToString(member.DBClusterArn)] {
			continue
		}
		if err := w.cluster(ctx, aws.ToString(member.DBClusterArn), false); err != nil {
			return err
		}
	}
	return nil
}

// instance adds an instance, unless it is the database's own, and its replicas.
func (w *walk) instance(ctx context.Context, id string, own bool) error {
	client, short := w.client(id)
	answer, err := client.DescribeDBInstances(ctx,
		&rds.DescribeDBInstancesInput{DBInstanceIdentifier: &short})
	if err != nil || len(answer.DBInstances) == 0 {
		return refused("rds:DescribeDBInstances", "the instance "+id, err)
	}
	instance := answer.DBInstances[0]
	if w.again(instance.DBInstanceArn) {
		return nil
	}
	if own && aws.ToString(instance.DBClusterIdentifier) != "" {
		return w.cluster(ctx, *instance.DBClusterIdentifier, true)
	}
	if !own {
		w.add(instance, false)
	}
	for _, replica := range instance.ReadReplicaDBInstanceIdentifiers {
		if err := w.instance(ctx, replica, false); err != nil {
			return err
		}
	}
	for _, replica := range instance.ReadReplicaDBClusterIdentifiers {
		if err := w.cluster(ctx, replica, false); err != nil {
			return err
		}
	}
	return nil
}

// idle are the states of an instance that has no sessions.
var idle = []string{"creating", "stopped"}

func (w *walk) add(instance types.DBInstance, writer bool) {
	if slices.Contains(idle, aws.ToString(instance.DBInstanceStatus)) {
		return
	}
	reader := Reader{
		Name: aws.ToString(instance.DBInstanceIdentifier), Origin: AWS, Writer: writer,
	}
	if instance.Endpoint != nil {
		reader.Host = aws.ToString(instance.Endpoint.Address)
		if port := aws.ToInt32(instance.Endpoint.Port); port > 0 && port <= math.MaxUint16 {
			reader.Port = uint16(port)
		}
	}
	if reader.Host == "" || reader.Port == 0 {
		reader.Problem = fmt.Sprintf("RDS has no endpoint for it while it is %s",
			aws.ToString(instance.DBInstanceStatus))
	}
	w.found = append(w.found, reader)
}

// refused is an error with what to do about it. A nil cause is an answer without what was
// asked for.
func refused(action, about string, cause error) error {
	if cause == nil {
		return fmt.Errorf("it does not know %s", about)
	}
	api, ok := errors.AsType[smithy.APIError](cause)
	switch {
	case !ok:
		return fmt.Errorf("%s: %w", action, cause)
	case strings.HasPrefix(api.ErrorCode(), "AccessDenied"):
		return fmt.Errorf("%s refuses %s: allow it to the function's role (%s)",
			action, about, api.ErrorMessage())
	}
	return fmt.Errorf("%s answers for %s: %s (%s)",
		action, about, api.ErrorMessage(), api.ErrorCode())
}
