# The function takes no connections and makes two kinds: to the database and
# its readers, and to AWS's own services.

resource "aws_security_group" "this" {
  name        = var.name
  description = "The function ${var.name}"
  vpc_id      = data.aws_subnet.first.vpc_id
  tags        = merge(var.tags, { Name = var.name })

  # Lambda keeps its interfaces for 20 to 45 minutes after the function is gone.
  timeouts {
    delete = "60m"
  }
}

# Both go to any address: a database is known by its name, and so are AWS's
# services where the network has no endpoints for them.

#trivy:ignore:AWS-0104
resource "aws_vpc_security_group_egress_rule" "database" {
  description       = "To the database"
  security_group_id = aws_security_group.this.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = local.connection.port
  to_port           = local.connection.port

  tags = merge(var.tags, { Name = "To the database" })
}

# The readers that have a port of their own.
#trivy:ignore:AWS-0104
resource "aws_vpc_security_group_egress_rule" "readers" {
  # The database's port may not be known yet; where there are no hosts, none are
  # compared with it.
  for_each = toset([
    for host in local.readers.hosts : split(":", host)[1]
    if(
      strcontains(host, ":") &&
      !endswith(host, ":${local.connection.port}")
    )
  ])

  description       = "To the read replicas"
  security_group_id = aws_security_group.this.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.key)
  to_port           = tonumber(each.key)

  tags = merge(var.tags, { Name = "To the database's readers" })
}

#trivy:ignore:AWS-0104
resource "aws_vpc_security_group_egress_rule" "services" {
  description       = "To AWS services"
  security_group_id = aws_security_group.this.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443

  tags = merge(var.tags, { Name = "To AWS's services" })
}
