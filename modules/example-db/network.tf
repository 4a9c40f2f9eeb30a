# A network without a way out: what runs in it reaches the database, and of
# AWS's services those that have an endpoint here.

data "aws_availability_zones" "this" {
  state = "available"

  # No zone that has neither Lambda nor Graviton. Zone ids are the same in every
  # account, and names are not.
  exclude_zone_ids = ["use1-az3"]

  # No local zones: Aurora is not at home in them.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  # A DB subnet group wants two zones.
  _zones = (
    length(var.availability_zones) > 0 ? var.availability_zones :
    slice(sort(data.aws_availability_zones.this.names), 0, 2)
  )

  _endpoints = toset(concat(
    ["secretsmanager"],
    # The agent needs no ec2messages any more, and new regions do not have it.
    var.bastion_enabled ? ["ssm", "ssmmessages"] : []
  ))
}

# An example for hours has no flow logs, which cost as much as the rest.
#tfsec:ignore:aws-ec2-require-vpc-flow-logs-for-all-vpcs
resource "aws_vpc" "this" {
  cidr_block = var.vpc_cidr

  # Both are needed for the endpoints' names.
  enable_dns_hostnames = true
  enable_dns_support   = true

  tags = merge(var.tags, { Name = local.name })
}

# The group that AWS makes with a network lets its members talk to each other.
# Without rules it lets nobody.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${local.name}-unused" })
}

resource "aws_subnet" "private" {
  count = length(local._zones)

  vpc_id            = aws_vpc.this.id
  availability_zone = local._zones[count.index]
  cidr_block        = cidrsubnet(var.vpc_cidr, 4, count.index)

  tags = merge(
    var.tags, { Name = "${local.name}-private-${count.index + 1}" }
  )

  # Lambda keeps its interfaces for 20 to 45 minutes after a function is gone.
  timeouts {
    delete = "60m"
  }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${local.name}-private" })
}

resource "aws_route_table_association" "private" {
  count = length(aws_subnet.private)

  route_table_id = aws_route_table.private.id
  subnet_id      = aws_subnet.private[count.index].id
}

resource "aws_vpc_endpoint" "this" {
  for_each = local._endpoints

  vpc_id              = aws_vpc.this.id
  private_dns_enabled = true
  security_group_ids  = [aws_security_group.endpoints.id]
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  subnet_ids          = aws_subnet.private[*].id
  vpc_endpoint_type   = "Interface"

  tags = merge(var.tags, { Name = "${local.name}-${each.key}" })
}

# Who is in this group may reach the database and the endpoints.
resource "aws_security_group" "client" {
  name        = "${local.name}-client"
  description = "May reach the example database"
  vpc_id      = aws_vpc.this.id
  tags        = merge(var.tags, { Name = "${local.name}-client" })

  # As for the subnets: functions are in this group.
  timeouts {
    delete = "60m"
  }
}

# What each of the four rules is for is in its tag Name. A description would never
# settle in the sandbox: moto forgets those of rules between groups.
#trivy:ignore:AWS-0124
resource "aws_vpc_security_group_egress_rule" "client_database" {
  security_group_id            = aws_security_group.client.id
  referenced_security_group_id = aws_security_group.database.id
  ip_protocol                  = "tcp"
  from_port                    = aws_rds_cluster.this.port
  to_port                      = aws_rds_cluster.this.port

  tags = merge(var.tags, { Name = "To the database" })
}

#trivy:ignore:AWS-0124
resource "aws_vpc_security_group_egress_rule" "client_endpoints" {
  security_group_id            = aws_security_group.client.id
  referenced_security_group_id = aws_security_group.endpoints.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443

  tags = merge(var.tags, { Name = "To the endpoints" })
}

resource "aws_security_group" "database" {
  name        = "${local.name}-database"
  description = "The example database"
  vpc_id      = aws_vpc.this.id
  tags        = merge(var.tags, { Name = "${local.name}-database" })
}

#trivy:ignore:AWS-0124
resource "aws_vpc_security_group_ingress_rule" "database_client" {
  security_group_id            = aws_security_group.database.id
  referenced_security_group_id = aws_security_group.client.id
  ip_protocol                  = "tcp"
  from_port                    = aws_rds_cluster.this.port
  to_port                      = aws_rds_cluster.this.port

  tags = merge(var.tags, { Name = "From those in the client group" })
}

resource "aws_security_group" "endpoints" {
  name        = "${local.name}-endpoints"
  description = "The endpoints of AWS services"
  vpc_id      = aws_vpc.this.id
  tags        = merge(var.tags, { Name = "${local.name}-endpoints" })
}

#trivy:ignore:AWS-0124
resource "aws_vpc_security_group_ingress_rule" "endpoints_client" {
  security_group_id            = aws_security_group.endpoints.id
  referenced_security_group_id = aws_security_group.client.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443

  tags = merge(var.tags, { Name = "From those in the client group" })
}
