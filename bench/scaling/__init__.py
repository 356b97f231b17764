"""What measured figures come to at other rates: capacity, cost and limits, reckoned and not measured (`make capacity`).

measured, assumed  capacity           what a rate of messages wants and costs
looked up          prices             list prices of Google Cloud
                   limits             our own settings, Google's quotas, and fixed limits
at a rate          needs              the way in: processors, instances, requests in flight, connections, bytes
                   reads              the way out: what lies in the table, and what reading it comes to
                   shares             which part of each limit that is, and which one gives first
written            operations_tables  the tables of docs/capacity.md about capacity and cost
                   scaling_tables     the tables of docs/scaling.md
                   text               how figures are written there
"""
