package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"sym-postgres-quickstart/functions/internal/delivery"
)

// BucketName is the name of [Bucket] as a sink.
const BucketName = "s3"

// Bucket is an S3 bucket with an object for each record, by its day:
// audit/2026/03/03/<request id>/0001.json.
type Bucket struct {
	client *s3.Client
	bucket string
}

// NewBucket makes a sink of a bucket that exists.
func NewBucket(client *s3.Client, bucket string) *Bucket {
	return &Bucket{client: client, bucket: bucket}
}

// Name implements [delivery.Sink].
func (b *Bucket) Name() string { return BucketName }

// Deliver writes a record, unless it is there already.
func (b *Bucket) Deliver(ctx context.Context, item delivery.Item) error {
	encoded, err := encode(item)
	if err != nil {
		return err
	}
	key := objectKey(item)
	_, err = b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:      &b.bucket,
		Key:         &key,
		Body:        bytes.NewReader(encoded),
		ContentType: aws.String("application/json"),
		IfNoneMatch: aws.String("*"),
		// A bucket with Object Lock wants a checksum with each object.
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	})
	if refused, ok := errors.AsType[smithy.APIError](err); ok &&
		refused.ErrorCode() == "PreconditionFailed" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("writing %s to the bucket %s: %w", key, b.bucket, err)
	}
	return nil
}

func objectKey(item delivery.Item) string {
	return fmt.Sprintf("audit/%s/%s/%04d.json", item.Record.At.UTC().Format("2006/01/02"),
		item.Request.ID, item.Record.Sequence)
}
